"""How a BART runs its layers: readable or fast, keeping what is inside them or not."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from minidalle.bart import layers
from minidalle.bart.primitives import linear
from minidalle.runtime import are_ours

REPLACED = {
    "minidalle.bart.attention": ("attend", "causal_mask", "padding_mask", "split_heads"),
    "minidalle.bart.layers": ("decoder_layer", "encoder_layer", "glu_feed_forward"),
}
"""The functions in a layer that a student may replace: where one is theirs, nothing fast may stand in for it."""


@dataclass(frozen=True)
class Running:
    """How a `Bart` runs its layers.

    fast: by `minidalle.bart.fast_training`, unless a function that it stands in for is a student's.
    recompute: forget what is inside a layer after it has run, and run it once more on the way back. It takes a third
        more arithmetic, and leaves one [B, N, D] per layer to keep (Chen et al. 2016). The gradients are the same.
    """

    fast: bool = True
    recompute: bool = False

    def __call__(self, layer: Callable[..., Tensor], *arguments: object) -> Tensor:
        """What a layer gives for these arguments: `encoder_layer`, `decoder_layer`, or `linear` for the head."""
        keeps = not self.recompute or layer is linear or not torch.is_grad_enabled()
        if self.fast:
            layer = _stand_in(layer)
        return layer(*arguments) if keeps else checkpoint(layer, *arguments, use_reentrant=False)

    def allowed(self) -> "Running":
        """The same, readable where a student's functions are in place."""
        return self if are_ours(REPLACED) else Running(fast=False, recompute=self.recompute)


def _stand_in(layer: Callable[..., Tensor]) -> Callable[..., Tensor]:
    from minidalle.bart import fast_training  # not there while answers are graded: it does what some of them do

    if layer is linear:
        return fast_training.fast_head
    return fast_training.fast_encoder_layer if layer is layers.encoder_layer else fast_training.fast_decoder_layer
