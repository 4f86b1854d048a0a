"""Where the library `transformers` keeps a classic BART: post-norm, biased, one matrix for embeddings and head."""

from typing import Any

import torch

from minidalle.bart import BartConfig
from minidalle.checkpoint import CheckpointError
from minidalle.published.dalle_shape import MOST_LAYERS
from minidalle.published.fields import flag, shown, start_token, whole
from minidalle.published.stored import Leaf, Stored, Tree

BRANCHES = {
    "attention.after": "self_attn_layer_norm",
    "cross_attention.after": "encoder_attn_layer_norm",
    "feed_forward.after": "final_layer_norm",
    "feed_forward.up": "fc1",
    "feed_forward.down": "fc2",
    "attention.": "self_attn.",
    "cross_attention.": "encoder_attn.",
    "embedding_norm": "layernorm_embedding",
    "positions": "embed_positions",
}
LINEAR = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}
SHARED = "shared.weight"
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
"""Names under which a file may repeat the one matrix."""
HEAD_BIAS = "final_logits_bias"
OFFSET = 2  # rows at the start of a table of positions that stand for nothing

EXPECTED = {
    "model_type": "bart",
    "activation_function": "gelu",
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
}


def layout(name: str) -> Leaf:
    """Our name → theirs, without the `model.` that most files have in front."""
    if name == "encoder.tokens.weight":
        return Leaf(SHARED)
    side, rest = name.split(".", 1)
    layer = ""
    if rest.startswith("layers."):
        _, number, rest = rest.split(".", 2)
        layer = f"layers.{number}."
    ours = next((part for part in BRANCHES if rest.startswith(part)), "")
    rest = BRANCHES.get(ours, "") + rest.removeprefix(ours)
    *branch, part, kind = rest.split(".")
    words = [*branch, LINEAR.get(part, part), "weight" if kind == "scale" else kind]
    return Leaf(f"{side}.{layer}{'.'.join(words)}")


def plain_tree(tree: Tree) -> dict[str, Stored]:
    """The tree without `model.` in front, and without copies of the shared matrix and a bias of zeros.

    Raises:
        CheckpointError: a copy differs from the shared matrix, or the head's bias is not zero: our BART has neither.
    """
    plain = {name.removeprefix("model."): stored for name, stored in tree.items()}
    bias = plain.pop(HEAD_BIAS, None)
    if bias is not None and bias.read(None).any():
        raise CheckpointError(f"{HEAD_BIAS} is not zero: expected a head without a bias")
    copies = {name: plain.pop(name) for name in COPIES if name in plain}
    if SHARED not in plain and copies:
        plain[SHARED] = next(iter(copies.values()))
    for name, copy in copies.items():
        shared = plain[SHARED]
        if copy is not shared and not (copy.shape == shared.shape and torch.equal(copy.read(None), shared.read(None))):
            raise CheckpointError(f"{name} differs from {SHARED}: expected one matrix for all")
    return plain


def config_of(fields: dict[str, Any]) -> BartConfig:
    """The config that a `config.json` of `transformers` describes.

    Raises:
        CheckpointError: it describes a variant that our BART is not, or lacks a field.
    """
    for name, value in EXPECTED.items():
        if fields.get(name, value) != value:
            raise CheckpointError(f"config.json: {name} is {shown(fields[name])}, expected {value!r}")
    for one, other in (("encoder_attention_heads", "decoder_attention_heads"), ("encoder_ffn_dim", "decoder_ffn_dim")):
        if fields.get(one) != fields.get(other):
            raise CheckpointError(
                f"config.json: {one} is {shown(fields.get(one))}, {other} {shown(fields.get(other))}: expected the same"
            )
    try:
        vocab, length = whole(fields, "vocab_size"), whole(fields, "max_position_embeddings")
        return BartConfig(
            text_vocab=vocab, text_length=length, image_codes=vocab, image_length=length, image_extra=0,
            width=whole(fields, "d_model"), heads=whole(fields, "encoder_attention_heads"),
            hidden=whole(fields, "encoder_ffn_dim"),
            encoder_layers=whole(fields, "encoder_layers", most=MOST_LAYERS),
            decoder_layers=whole(fields, "decoder_layers", most=MOST_LAYERS),
            start=start_token(fields, 2), norm="post", embedding_norm=True, bias=True, tied=True,
            scale_embedding=flag(fields, "scale_embedding", False), positions="absolute", position_offset=OFFSET,
        )  # fmt: skip
    except KeyError as error:
        raise CheckpointError(f"config.json: has no {error}") from error
