"""Rescaled models: the same outputs, another Hessian, and the law between the two."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from minidalle.bart import Bart, BartConfig, sequence_loss
from minidalle.errors import InvalidValue
from minidalle.generalization.rescaling import (
    attention_branches,
    linear_pairs,
    reparameterize,
    reparameterize_layers,
)
from minidalle.presets import CPU

TINY = BartConfig(
    text_vocab=5, text_length=3, image_codes=4, image_length=4, width=4, heads=2, hidden=4,
    encoder_layers=1, decoder_layers=1, bias=True, glu=True,
)  # fmt: skip
BRANCHES = ["encoder.layers.0.attention", "decoder.layers.0.attention", "decoder.layers.0.cross_attention"]


def bart_of(config: BartConfig, dtype: torch.dtype = torch.float64) -> Bart:
    """A BART in eval mode, in which every weight counts: biases and norms begin at 0 and 1, too tame for a test."""
    torch.manual_seed(0)
    bart = Bart(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in bart.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return bart


def batch(config: BartConfig) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(1)
    text = torch.randint(config.text_vocab, (6, config.text_length), generator=chance)
    mask = torch.arange(config.text_length) < torch.tensor([1, 2, 3, 3, 2, 3])[:, None]
    return text, mask, torch.randint(config.image_codes, (6, config.image_length), generator=chance)


def flat(tensors: Iterator[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def dense_hessian(bart: Bart) -> Tensor:
    """Every second derivative of the loss with respect to all parameters, in one matrix."""
    inputs = batch(bart.config)
    targets = torch.randint(bart.config.image_codes, inputs[2].shape, generator=torch.Generator().manual_seed(2))
    named = dict(bart.named_parameters())

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split([parameter.numel() for parameter in named.values()])
        weights = {name: part.view_as(named[name]) for name, part in zip(named, parts, strict=True)}
        return sequence_loss(functional_call(bart, weights, inputs), targets)

    return hessian(loss, flat(bart.parameters()), vectorize=True)


@cache
def original() -> tuple[Bart, Tensor]:
    bart = bart_of(TINY)
    return bart, dense_hessian(bart)


def largest(matrix: Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix)[-1])


def scaled(bart: Bart, matrix: Tensor) -> Tensor:
    """|W| H |W|."""
    sizes = flat(bart.parameters()).abs()
    return sizes[:, None] * matrix * sizes


@pytest.mark.parametrize("form", [reparameterize, reparameterize_layers])
def test_the_same_outputs_another_hessian(form: Callable[[Bart, float], Bart]) -> None:
    bart, before = original()
    other = form(bart, 50.0)
    inputs = batch(TINY)
    torch.testing.assert_close(other(*inputs), bart(*inputs), rtol=0, atol=1e-12)
    after = dense_hessian(other)
    assert largest(after) > 10 * largest(before)
    assert largest(scaled(other, after)) == pytest.approx(largest(scaled(bart, before)), rel=1e-9)

    factors = flat(other.parameters()) / flat(bart.parameters())  # w′ = S w
    assert {round(float(factor), 12) for factor in factors} == {50.0, 0.02, 1.0}
    torch.testing.assert_close(after, before / factors[:, None] / factors, rtol=1e-9, atol=1e-10)
    assert after.trace() == pytest.approx(float((before.diagonal() / factors.square()).sum()), rel=1e-10)


CONFIGS = [
    replace(TINY, norm=norm, glu=glu, bias=bias, tied=tied, text_vocab=5, draft_width=draft)
    for norm, glu, bias, tied, draft in product(
        ("post", "pre", "normformer"), (False, True), (False, True), (False, True), (0, 3)
    )
]


@pytest.mark.parametrize("form", [reparameterize, reparameterize_layers])
def test_no_config_notices(form: Callable[[Bart, float], Bart]) -> None:
    for config in CONFIGS:
        bart, inputs = bart_of(config), batch(config)
        expected = bart(*inputs)
        for alpha in (0.3, 8.0):
            found = form(bart, alpha)(*inputs)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", [reparameterize, reparameterize_layers])
def test_powers_of_two_change_no_bit_of_a_real_size(form: Callable[[Bart, float], Bart]) -> None:
    bart = bart_of(CPU.bart, torch.float32)
    chance = torch.Generator().manual_seed(1)
    text, image = torch.randint(4096, (2, 9), generator=chance), torch.randint(512, (2, 64), generator=chance)
    with torch.no_grad():
        assert torch.equal(form(bart, 16.0)(text, text >= 0, image), bart(text, text >= 0, image))


def test_the_weights_of_each_form() -> None:
    bart = bart_of(TINY)
    before = deepcopy(bart.state_dict())
    by_form = {
        reparameterize: ({"query.weight": 4.0, "query.bias": 4.0, "key.weight": 0.25, "key.bias": 0.25}),
        reparameterize_layers: (
            {"value.weight": 4.0, "value.bias": 4.0, "output.weight": 0.25}
            | {"up.weight": 4.0, "up.bias": 4.0, "down.weight": 0.25}
        ),
    }
    for form, factors in by_form.items():
        after = form(bart, 4.0).state_dict()
        for name, weights in before.items():
            factor = factors.get(".".join(name.split(".")[-2:]), 1.0)
            assert torch.equal(after[name], factor * weights), name
            assert torch.equal(bart.state_dict()[name], weights)


def test_one_branch_alone() -> None:
    bart = bart_of(TINY)
    assert list(attention_branches(bart)) == BRANCHES
    after = reparameterize(bart, 4.0, layers=BRANCHES[2:]).state_dict()
    changed = {name for name, weights in bart.state_dict().items() if not torch.equal(after[name], weights)}
    assert changed == {f"{BRANCHES[2]}.{part}.{kind}" for part in ("query", "key") for kind in ("weight", "bias")}


def test_forgetting_a_bias_or_scaling_both_up_is_seen() -> None:
    """The query's bias counts; the key's adds the same to all scores of a query, which no softmax sees."""
    bart, inputs = bart_of(TINY), batch(TINY)
    expected = bart(*inputs)
    right = reparameterize(bart, 4.0)
    for part, seen in (("query", True), ("key", False)):
        other = deepcopy(right)
        for name, branch in attention_branches(other).items():
            branch[part].bias.data = bart.get_submodule(name)[part].bias.data.clone()
        assert ((other(*inputs) - expected).abs().max() > 1e-3) == seen
    both = deepcopy(right)
    for branch in attention_branches(both).values():
        branch["key"].weight.data *= 16
    assert (both(*inputs) - expected).abs().max() > 1e-3


def test_what_bends_or_norms_in_between_is_left_out() -> None:
    attention = [(f"{name}.value", f"{name}.output") for name in BRANCHES]
    gated = [
        (f"{side}.layers.0.feed_forward.up", f"{side}.layers.0.feed_forward.down") for side in ("encoder", "decoder")
    ]
    assert sorted(linear_pairs(bart_of(TINY))) == sorted([*attention, *gated])
    for config in (replace(TINY, glu=False), replace(TINY, norm="normformer")):
        bart, inputs = bart_of(config), batch(config)
        assert sorted(linear_pairs(bart)) == sorted(attention)
        assert (reparameterize_layers(bart, 4.0, gated)(*inputs) - bart(*inputs)).abs().max() > 1e-6


def test_dinhs_own_case() -> None:
    """A ReLU network; its second layer's bias stays, as nothing comes after it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    other = reparameterize_layers(network, 3.0, [("0", "2")])
    inputs = torch.randn(20, 4, dtype=torch.float64)
    torch.testing.assert_close(other(inputs), network(inputs), rtol=1e-12, atol=1e-14)
    assert torch.equal(other[0].bias, 3 * network[0].bias)
    assert torch.equal(other[2].bias, network[2].bias)


@pytest.mark.parametrize("alpha", [0.0, -2.0, float("nan"), float("inf")])
def test_a_factor_that_is_none_is_told(alpha: float) -> None:
    for form in (reparameterize, reparameterize_layers):
        with pytest.raises(InvalidValue, match="alpha"):
            form(bart_of(TINY), alpha)


def test_bad_input_is_told() -> None:
    bart, plain = bart_of(TINY, torch.float32), nn.Linear(2, 2)
    with pytest.raises(InvalidValue, match="one with attention"):
        reparameterize(plain, 2.0)
    with pytest.raises(InvalidValue, match="nothing bends"):
        reparameterize_layers(plain, 2.0)
    with pytest.raises(InvalidValue, match=r"layers='decoder.layers.7.attention': expected one of encoder"):
        reparameterize(bart, 2.0, ["decoder.layers.7.attention"])
    with pytest.raises(InvalidValue, match="one name or more"):
        reparameterize(bart, 2.0, [])
    with pytest.raises(InvalidValue, match="pairs"):
        reparameterize_layers(bart, 2.0, [("encoder", "decoder")])
    with pytest.raises(InvalidValue, match="keeps all weights finite"):
        reparameterize(bart, 1e-39)
