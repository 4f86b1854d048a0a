"""Branches and their norms, by hand: a norm acts exactly where its weights are."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart import encoder_layer, gelu_feed_forward, glu_feed_forward, padding_mask
from minidalle.bart.layers import enter, join
from minidalle.bart.primitives import layer_norm, linear

X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
NORM = {"scale": torch.tensor([1.0, 2.0, 3.0, 4.0]), "bias": torch.tensor([0.5, 0.0, -0.5, 1.0])}


def normalized(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()


def matrix(outputs: int, inputs: int, seed: int) -> dict[str, Tensor]:
    return {"weight": torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed))}


def test_a_linear_layer_has_a_bias_if_there_is_one() -> None:
    weights = matrix(5, 4, 1)
    torch.testing.assert_close(linear(weights, X), X @ weights["weight"].T)
    torch.testing.assert_close(linear({**weights, "bias": torch.ones(5)}, X), X @ weights["weight"].T + 1)


def test_a_norm_has_scale_and_bias_if_there_are_any() -> None:
    torch.testing.assert_close(layer_norm(NORM, X), normalized(X) * NORM["scale"] + NORM["bias"])
    torch.testing.assert_close(layer_norm({"bias": NORM["bias"]}, X), normalized(X) + NORM["bias"])
    torch.testing.assert_close(layer_norm({}, X), normalized(X))


def test_norms_of_a_branch_act_where_they_are() -> None:
    added = X.flip(0)
    assert enter({}, X) is X
    torch.testing.assert_close(enter({"before": NORM}, X), layer_norm(NORM, X))
    torch.testing.assert_close(join({"before": NORM}, X, added), X + added)
    torch.testing.assert_close(join({"inside": NORM}, X, added), X + layer_norm(NORM, added))
    torch.testing.assert_close(join({"after": NORM}, X, added), layer_norm(NORM, X + added))


def test_dropout_drops_what_a_branch_adds() -> None:
    x, added = torch.full((100, 100), 3.0), torch.ones(100, 100)
    torch.manual_seed(0)
    out = join({}, x, added, dropout=0.5)
    assert set(out.unique().tolist()) == {3.0, 5.0}
    assert (out == 3.0).float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_feed_forward_layers_by_hand() -> None:
    up, gate, down = matrix(6, 4, 1), matrix(6, 4, 2), matrix(4, 6, 3)
    plain = F.gelu(X @ up["weight"].T)
    gated = F.gelu(X @ gate["weight"].T) * (X @ up["weight"].T)
    for hidden, function in ((plain, gelu_feed_forward), (gated, glu_feed_forward)):
        weights = {"up": up, "gate": gate, "down": down}
        torch.testing.assert_close(function(weights, X), hidden @ down["weight"].T)
        inner = function({**weights, "hidden": {}}, X)
        torch.testing.assert_close(inner, normalized(hidden) @ down["weight"].T)


def test_a_layer_whose_branches_add_nothing_passes_its_tokens_on() -> None:
    names = ("query", "key", "value")
    attention = {name: matrix(4, 4, seed) for seed, name in enumerate(names)}
    attention["output"] = {"weight": torch.zeros(4, 4)}
    feed_forward = {"up": matrix(6, 4, 5), "down": {"weight": torch.zeros(4, 6)}}
    mask = padding_mask(torch.ones(2, 3, dtype=torch.bool))
    assert torch.equal(encoder_layer({"attention": attention, "feed_forward": feed_forward}, X, mask, 2), X)
