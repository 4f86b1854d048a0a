"""BART: the encoder reads a caption, the decoder writes a picture's tokens, each given those before it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.bart.attention import causal_mask, padding_mask
from minidalle.bart.cache import (
    DecoderCache,
    cached_decoder_layer,
    cross_attention_cache,
    self_attention_cache,
)
from minidalle.bart.config import BartConfig
from minidalle.bart.draft import Draft, draw_draft
from minidalle.bart.primitives import linear, optional_norm
from minidalle.bart.running import Running
from minidalle.bart.weights import decoder_weights, draft_weights, encoder_weights
from minidalle.errors import require
from minidalle.runtime import Weights, weights_of


class Bart(nn.Module):
    """Caption tokens → logits of image tokens.

    Args:
        config: the shape; see `BartConfig`.

    Attributes:
        running: how `encode` and `decode` run their layers; a training may want them fast, or to keep less.
    """

    def __init__(self, config: BartConfig) -> None:
        super().__init__()
        self.config = config
        self.running = Running(fast=False)
        self.encoder = encoder_weights(config)
        self.decoder = decoder_weights(config)
        if config.draft_width:
            self.drafter = draft_weights(config)

    def forward(self, text: Tensor, text_mask: Tensor, image_in: Tensor) -> Tensor:
        """Predict every image token from the caption and the image tokens before it.

        Args:
            text: long [B, T]; T may be anything up to `text_length`.
            text_mask: bool [B, T], True = real token.
            image_in: long [B, N], image tokens after `shift_right`; N may be anything up to `image_length`.

        Returns:
            [B, N, V]; row n holds the logits of image token n.
        """
        return self.decode(self.encode(text, text_mask), text_mask, image_in)

    def encode(self, text: Tensor, text_mask: Tensor) -> Tensor:
        """Read captions: long [B, T] and bool [B, T] → [B, T, D], a vector per token, in context."""
        config, weights, length = self.config, weights_of(self.encoder), text.shape[1]
        require(length <= config.text_length, "text tokens", length, f"at most {config.text_length}")
        positions = weights["positions"]["weight"][config.position_offset :][:length]
        x = self._embed(weights, text, weights["tokens"]["weight"], positions)
        mask = padding_mask(text_mask)
        for layer in self.encoder["layers"].children():
            x = layer(x, mask, config.heads, self._dropout, self.running)
        return optional_norm(weights, "final_norm", x)

    def decode(self, memory: Tensor, text_mask: Tensor, image_in: Tensor, draft: Draft | None = None) -> Tensor:
        """Predict every image token from an encoded caption and the image tokens before it.

        Args:
            memory: [B, T, D], what `encode` gave.
            text_mask: bool [B, T].
            image_in: long [B, N], see `forward`.
            draft: what `draft` gave, if it is at hand; otherwise it is drawn here, if the model has one.

        Returns:
            [B, N, V].
        """
        config, weights, length = self.config, self.decoder_weights(), image_in.shape[1]
        require(length <= config.image_length, "image tokens", length, f"at most {config.image_length}")
        positions = self.image_positions(weights, memory, text_mask, draft)[..., :length, :]
        x = self._embed(weights, image_in, weights["tokens"]["weight"], positions)
        mask, memory_mask = causal_mask(length, x.device), padding_mask(text_mask)
        for layer in self.decoder["layers"].children():
            x = layer(x, mask, memory, memory_mask, config.heads, self._dropout, self.running)
        return self.running(linear, weights["head"], optional_norm(weights, "final_norm", x))

    def draft(self, memory: Tensor, text_mask: Tensor) -> Draft:
        """Guess the whole picture from an encoded caption; see `minidalle.bart.draft`."""
        return draw_draft(weights_of(self.drafter), memory, text_mask)

    def draft_logits(self, cells: Tensor) -> Tensor:
        """The draft's own guess of image tokens: some of its cells [..., draft_width] → logits [..., K]."""
        return linear(weights_of(self.drafter)["tokens"], cells)

    @torch.no_grad()
    def start(self, text: Tensor, text_mask: Tensor) -> DecoderCache:
        """Read captions once, and prepare to write their pictures token by token with `step`.

        Without gradients; meant for a model in `eval` mode, since nothing is dropped in `step`'s layers.

        Args:
            text: long [B, T].
            text_mask: bool [B, T].

        Returns:
            A cache at position 0, with room for all `image_length` tokens.
        """
        memory = self.encode(text, text_mask)
        weights, heads = self.decoder_weights(), self.config.heads
        layers = list(weights["layers"].values())
        across = [cross_attention_cache(layer["cross_attention"], memory, heads) for layer in layers]
        within = [self_attention_cache(keys, self.config.image_length) for keys, _ in across]
        positions = self.image_positions(weights, memory, text_mask)
        return DecoderCache(weights, positions, padding_mask(text_mask), within, across)

    @torch.no_grad()
    def step(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """Take in one more image token of each picture, and predict the next.

        Args:
            tokens: long [B], the last token of each picture; the start token at first.
            cache: what `start` gave; it is changed.

        Returns:
            [B, V], equal to the last row of what `forward` gives for all tokens so far.
        """
        weights, position, longest = cache.weights, cache.position, self.config.image_length
        require(position < longest, "image tokens", position + 1, f"at most {longest}")
        positions = cache.positions[..., position : position + 1, :]
        x = self._embed(weights, tokens.unsqueeze(1), weights["tokens"]["weight"], positions)
        for index, layer in enumerate(weights["layers"].values()):
            x = cached_decoder_layer(layer, x, cache, index, self.config.heads)
        cache.position += 1
        return linear(weights["head"], optional_norm(weights, "final_norm", x)).squeeze(1)

    def decoder_weights(self) -> Weights:
        """The decoder's weights; a tied model takes the text's table for its tokens and its head."""
        shared = weights_of(self.encoder["tokens"])
        return {"tokens": shared, "head": shared, **weights_of(self.decoder)}

    def image_positions(self, weights: Weights, memory: Tensor, mask: Tensor, draft: Draft | None = None) -> Tensor:
        """What stands for each place of the picture: [N, D], or [B, N, D] with the caption's draft in it."""
        tables = weights["positions"]
        if "rows" in tables:
            positions = (tables["rows"]["weight"][:, None] + tables["columns"]["weight"]).flatten(0, 1)
        else:
            positions = tables["weight"][self.config.position_offset :]
        if not self.config.draft_width:
            return positions
        draft = self.draft(memory, mask) if draft is None else draft
        return positions + draft.additions

    @property
    def _dropout(self) -> float:
        return self.config.dropout if self.training else 0.0

    def _embed(self, weights: Weights, tokens: Tensor, table: Tensor, positions: Tensor) -> Tensor:
        """Token vectors plus what stands for their places, normalized if there is a norm for it."""
        scale = math.sqrt(self.config.width) if self.config.scale_embedding else 1.0
        x = optional_norm(weights, "embedding_norm", F.embedding(tokens, table) * scale + positions)
        return F.dropout(x, self._dropout)
