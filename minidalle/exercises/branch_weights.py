"""Weights for cases: a layer's branches as a config has them, with few and round numbers."""

from typing import Any

import torch

from minidalle.bart.config import BartConfig
from minidalle.bart.weights import layer_stack
from minidalle.runtime import Weights, weights_of

LOWEST = {"weight": 1, "scale": 3, "bias": 1}
"""In quarters, of four that each number is one of; a norm's scale is around 1, or it would undo the branch."""


def branch_weights(
    chance: torch.Generator, attentions: tuple[str, ...], norms: bool = True, **shape: Any
) -> dict[str, Any]:
    """The weights of one layer, each a number of quarters from 1/4 to 3/2, or its negative.

    Args:
        chance: of the numbers.
        attentions: names of the attention branches; a feed-forward branch comes after them.
        norms: whether there are any.
        shape: `width`, `heads` and what else a `BartConfig` has.

    Returns:
        Branch → part → name → tensor.
    """
    config = BartConfig(text_vocab=1, text_length=1, image_codes=1, image_length=1, encoder_layers=1,
                        decoder_layers=1, hidden=shape["width"], **shape)  # fmt: skip
    with torch.device("meta"):  # only its shapes are wanted
        tree = weights_of(layer_stack(config, 1, attentions))["0"]
    return _filled(tree, chance, () if norms else ("before", "inside", "after", "hidden"))


def _filled(tree: Weights, chance: torch.Generator, without: tuple[str, ...]) -> dict[str, Any]:
    weights: dict[str, Any] = {}
    for name, one in tree.items():
        if name in without:
            continue
        if isinstance(one, dict):
            weights[name] = _filled(one, chance, without)
        else:
            size = torch.randint(LOWEST[name], LOWEST[name] + 4, one.shape, generator=chance) / 4
            weights[name] = size * (2.0 * torch.randint(2, one.shape, generator=chance) - 1)
    return weights
