"""Where the weights live: the tree of parameters that a config asks for, and their values before training.

The functions that compute look at the tree, not at the config: a norm, a gate or a bias acts where it is.

Initial values: embeddings are normal with variance 1 / D: a token's vector has length 1. Linear layers
are as torch makes them (variance 1 / 3 inputs), but what a branch adds is ten times smaller: the model begins
close to its embeddings, however deep it is. Both learned faster on a small task than BART's 0.02 everywhere.
"""

import math

import torch
from torch import Tensor, nn

from minidalle.bart.config import BartConfig
from minidalle.bart.layers import decoder_layer, encoder_layer
from minidalle.bart.running import Running
from minidalle.runtime import weights_of


def norm_weights(width: int, scale: bool = True) -> nn.ParameterDict:
    """A LayerNorm's `bias`, and its `scale` if it has one."""
    scales = {"scale": nn.Parameter(torch.ones(width))} if scale else {}
    return nn.ParameterDict(scales | {"bias": nn.Parameter(torch.zeros(width))})


def embedding_weights(rows: int, width: int) -> nn.ParameterDict:
    """A table with a vector per row: `weight` [rows, width]."""
    return nn.ParameterDict({"weight": nn.Parameter(torch.randn(rows, width) / math.sqrt(width))})


def linear_weights(config: BartConfig, inputs: int, outputs: int, shrink: float = 1.0) -> nn.Linear:
    """A linear layer whose weights begin smaller than torch's by a factor, and its bias, if any, at zero."""
    layer = nn.Linear(inputs, outputs, bias=config.bias)
    with torch.no_grad():
        layer.weight *= shrink
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def branch_norms(config: BartConfig, inside: bool) -> dict[str, nn.Module]:
    """The norms before, inside and after a branch, as far as the config has them."""
    if config.norm == "post":
        return {"after": norm_weights(config.width)}
    norms: dict[str, nn.Module] = {"before": norm_weights(config.width, config.scale_before_linear)}
    if config.norm == "normformer" and inside:
        norms["inside"] = norm_weights(config.width)
    return norms


def attention_weights(config: BartConfig) -> nn.ModuleDict:
    """An attention branch: `query`, `key`, `value`, `output`, and its norms."""
    width = config.width
    projections = {name: linear_weights(config, width, width) for name in ("query", "key", "value")}
    output = linear_weights(config, width, width, shrink=0.1)
    return nn.ModuleDict({**projections, "output": output, **branch_norms(config, inside=True)})


def feed_forward_weights(config: BartConfig) -> nn.ModuleDict:
    """A feed-forward branch: `up`, `down`, `gate` if it is gated, and its norms."""
    parts: dict[str, nn.Module] = {}
    for name in ("gate", "up") if config.glu else ("up",):
        parts[name] = linear_weights(config, config.width, config.hidden)
    if config.norm == "normformer":
        parts["hidden"] = norm_weights(config.hidden, config.scale_before_linear)
    parts["down"] = linear_weights(config, config.hidden, config.width, shrink=0.1)
    return nn.ModuleDict({**parts, **branch_norms(config, inside=False)})


class EncoderLayer(nn.ModuleDict):
    """An encoder layer's weights, which can be called as one: several GPUs share a model layer by layer."""

    def forward(self, x: Tensor, mask: Tensor, heads: int, dropout: float, running: Running) -> Tensor:
        """See `minidalle.bart.layers.encoder_layer`."""
        return running(encoder_layer, weights_of(self), x, mask, heads, dropout)


class DecoderLayer(nn.ModuleDict):
    """A decoder layer's weights, which can be called as one."""

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float,
                running: Running) -> Tensor:  # fmt: skip
        """See `minidalle.bart.layers.decoder_layer`."""
        return running(decoder_layer, weights_of(self), x, mask, memory, memory_mask, heads, dropout)


def layer_stack(
    config: BartConfig, layers: int, attentions: tuple[str, ...], kind: type[nn.ModuleDict] = nn.ModuleDict
) -> nn.ModuleList:
    """Layers of a kind with the attention branches of these names, and a feed-forward branch each."""
    return nn.ModuleList(
        kind(
            {
                **{name: attention_weights(config) for name in attentions},
                "feed_forward": feed_forward_weights(config),
            }
        )
        for _ in range(layers)
    )


def end_norms(config: BartConfig) -> dict[str, nn.Module]:
    """The norm of the embeddings, and the one after the last layer, which post-norm does not need."""
    norms: dict[str, nn.Module] = {}
    if config.embedding_norm:
        norms["embedding_norm"] = norm_weights(config.width)
    if config.norm != "post":
        norms["final_norm"] = norm_weights(config.width, config.scale_before_linear)
    return norms


def encoder_weights(config: BartConfig) -> nn.ModuleDict:
    """All that reads text: `tokens`, `positions`, `layers`, and the norms at both ends."""
    return nn.ModuleDict(
        {
            "tokens": embedding_weights(config.text_vocab, config.width),
            "positions": embedding_weights(config.position_offset + config.text_length, config.width),
            "layers": layer_stack(config, config.encoder_layers, ("attention",), EncoderLayer),
            **end_norms(config),
        }
    )


def decoder_weights(config: BartConfig) -> nn.ModuleDict:
    """All that writes pictures: as the encoder, and a `head`. A tied model has no own `tokens` and `head`."""
    own: dict[str, nn.Module] = {}
    if not config.tied:
        own["tokens"] = embedding_weights(config.image_vocab, config.width)
        own["head"] = nn.Linear(config.width, config.image_vocab, bias=False)
    return nn.ModuleDict(
        {
            **own,
            "positions": image_position_weights(config),
            "layers": layer_stack(config, config.decoder_layers, ("attention", "cross_attention"), DecoderLayer),
            **end_norms(config),
        }
    )


def image_position_weights(config: BartConfig) -> nn.Module:
    """A table with a vector per position, or the tables `rows` and `columns` of the picture's square."""
    if config.positions == "grid":
        sides = ("rows", "columns")
        return nn.ModuleDict({side: embedding_weights(config.grid, config.width) for side in sides})
    return embedding_weights(config.position_offset + config.image_length, config.width)


def draft_weights(config: BartConfig) -> nn.ModuleDict:
    """The draft's linear layers. Its additions begin at zero: the model begins as one without a draft."""
    heads = {
        "additions": nn.Linear(config.draft_width, config.width),
        "colors": nn.Linear(config.draft_width, 3),
        "tokens": nn.Linear(config.draft_width, config.image_codes),
    }
    nn.init.zeros_(heads["additions"].weight)
    nn.init.zeros_(heads["additions"].bias)
    cells = nn.Linear(config.width, config.image_length * config.draft_width)
    return nn.ModuleDict({"cells": cells, **heads})
