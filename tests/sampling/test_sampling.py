"""Sampling against closed forms: frequencies, hand cases, seeds."""

import math

import pytest
import torch
from scipy import stats

from minidalle.errors import InvalidValue
from minidalle.sampling import (
    SamplingConfig,
    apply_temperature,
    decode_step,
    generate_tokens,
    guide,
    picture_noise,
    top_k_filter,
    top_p_filter,
)

OFF = float("-inf")


def kept(logits: torch.Tensor) -> list:
    return logits.isfinite().tolist()


def fits(drawn: torch.Tensor, probability: torch.Tensor) -> bool:
    """Whether drawn ids could come from this distribution, by a chi-square test; impossible ids never may."""
    possible = probability > 0
    counts = torch.bincount(drawn, minlength=len(probability))
    if counts[~possible].any():
        return False
    expected = probability[possible].double() * len(drawn)
    return bool(stats.chisquare(counts[possible], expected * len(drawn) / expected.sum()).pvalue > 1e-3)


def test_temperature_divides_and_zero_is_greedy() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    assert apply_temperature(logits, 2.0).tolist() == [[0.5, 1.5, 1.0], [2.5, 2.5, 0.0]]
    assert apply_temperature(logits, 0.0).tolist() == [[OFF, 0, OFF], [0, OFF, OFF]]
    cold = apply_temperature(logits, 0.01).softmax(-1)[0]
    torch.testing.assert_close(cold, apply_temperature(logits, 0.0).softmax(-1)[0])


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (1, [False, True, False, True]),  # two are equally large: both stay
        (2, [False, True, False, True]),
        (3, [True, True, False, True]),
        (4, [True] * 4),
        (9, [True] * 4),
    ],
)
def test_top_k_by_hand(k: int, expected: list[bool]) -> None:
    logits = torch.tensor([1.0, 4.0, 0.0, 4.0])
    filtered = top_k_filter(logits, k)
    assert kept(filtered) == expected
    assert torch.equal(filtered[expected], logits[expected])


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.01, [False, True, False, False]),  # the first always stays
        (0.5, [False, True, False, False]),  # exactly reached
        (0.51, [True, True, False, False]),
        (0.8, [True, True, False, True]),
        (0.95, [True] * 4),
        (1.0, [True] * 4),
    ],
)
def test_top_p_by_hand(p: float, expected: list[bool]) -> None:
    logits = torch.tensor([0.25, 0.5, 0.0625, 0.1875]).log()
    filtered = top_p_filter(logits, p)
    assert kept(filtered) == expected
    assert torch.equal(filtered[expected], logits[expected])


def test_top_p_keeps_the_first_of_equals_and_respects_what_is_ruled_out() -> None:
    assert kept(top_p_filter(torch.zeros(4), 0.5)) == [True, True, False, False]
    assert kept(top_p_filter(torch.tensor([[OFF, 1.0, OFF], [0.0, 0.0, 9.0]]), 0.9)) == [
        [False, True, False],
        [False, False, True],
    ]


def test_guidance() -> None:
    conditional, unconditional = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 1.0])
    assert torch.equal(guide(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guide(conditional, unconditional, 0.0), unconditional)
    assert guide(conditional, unconditional, 10.0).tolist() == [11.0, -19.0]


def test_noise_is_standard_gumbel() -> None:
    noise = picture_noise([3], 100, 200)
    assert stats.kstest(noise.flatten().numpy(), "gumbel_r").pvalue > 1e-3
    assert noise.isfinite().all()


def test_noise_is_finite_at_the_edges_of_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = torch.tensor([[0.0, 1 - 2**-24]])
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: extremes.expand(shape))
    assert picture_noise([0], 3, 2).isfinite().all()


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(),
        SamplingConfig(temperature=0.5),
        SamplingConfig(temperature=3.0, top_k=4),
        SamplingConfig(top_p=0.7),
    ],
    ids=repr,
)
def test_draws_have_the_frequencies_of_softmax(config: SamplingConfig) -> None:
    logits = 1.5 * torch.randn(9, generator=torch.Generator().manual_seed(0))
    noise = picture_noise([1], 20_000, 9)[0]
    drawn = decode_step(logits.expand(len(noise), -1), noise, config)

    probability = (logits / config.temperature).softmax(-1)
    ranked = probability.sort(descending=True).values
    stay = torch.ones(9, dtype=torch.bool)
    if config.top_k:
        stay &= probability >= ranked[config.top_k - 1]
    if config.top_p < 1:
        stay &= probability >= ranked[(ranked.cumsum(0) < config.top_p).sum()]
    assert stay.sum() >= 2
    assert fits(drawn, (probability * stay) / (probability * stay).sum())
    assert not fits(drawn, (probability * stay).sqrt() / (probability * stay).sqrt().sum())


def test_zero_temperature_ignores_the_noise() -> None:
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    noise = 100 * picture_noise([1], 50, 9)[0]
    config = SamplingConfig(temperature=0.0, top_k=3, top_p=0.5)
    assert torch.equal(decode_step(logits, noise, config), logits.argmax(-1))


def test_only_ids_of_the_codebook_are_drawn() -> None:
    """The start token's logit is the largest by far: it must not come out, nor take a top-k id's place."""
    logits = torch.tensor([1.0, 2.0, 3.0, 1000.0, 1000.0]).expand(400, -1)
    noise = picture_noise([1], 400, 3)[0]
    for config in (SamplingConfig(), SamplingConfig(top_k=2), SamplingConfig(top_p=0.9)):
        assert set(decode_step(logits, noise, config).tolist()) <= {0, 1, 2}
        assert len(set(decode_step(logits, noise, config).tolist())) > 1
    assert set(decode_step(logits, noise, SamplingConfig(temperature=0)).tolist()) == {2}


def next_logits(prefix: torch.Tensor) -> torch.Tensor:
    """A model whose next token depends on all tokens so far and on their order, the same for any batch."""
    weights = torch.arange(1, prefix.shape[1] + 1)
    phase = (prefix * weights).sum(1, keepdim=True) + torch.arange(33)
    return 2 * torch.sin(phase.double()).float()


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    config = SamplingConfig(temperature=0.9, top_k=20)
    seeds = [11, 5, 11, 0, 7, 123456789012, 2]
    batch = generate_tokens(next_logits, picture_noise(seeds, 16, 32), config)
    for seed, picture in zip(seeds, batch, strict=True):
        assert torch.equal(generate_tokens(next_logits, picture_noise([seed], 16, 32), config)[0], picture)
    assert torch.equal(batch[0], batch[2])
    assert len({tuple(picture.tolist()) for picture in batch}) == 6


def test_the_loop_shows_the_model_what_it_drew() -> None:
    prefixes = []

    def watched(prefix: torch.Tensor) -> torch.Tensor:
        prefixes.append(prefix.clone())
        return next_logits(prefix)

    noise = picture_noise([1, 2], 6, 32)
    tokens = generate_tokens(watched, noise, SamplingConfig())
    assert [prefix.shape for prefix in prefixes] == [(2, t) for t in range(6)]
    assert all(torch.equal(prefix, tokens[:, : prefix.shape[1]]) for prefix in prefixes)
    for t in range(6):
        expected = (next_logits(tokens[:, :t])[:, :32] + noise[:, t]).argmax(-1)
        assert torch.equal(tokens[:, t], expected)


def test_half_precision_logits_are_cooled_in_full_precision() -> None:
    """20 and 20.125 are bfloat16 numbers, but divided by 0.3 they would be rounded to the nearest half."""
    logits = torch.tensor([20.0, 20.125], dtype=torch.bfloat16).expand(20_000, -1)
    drawn = decode_step(logits, picture_noise([1], 20_000, 2)[0], SamplingConfig(temperature=0.3))
    assert fits(drawn, (torch.tensor([20.0, 20.125]) / 0.3).softmax(-1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("guidance", math.inf),
        ("guidance", math.nan),
    ],
)
def test_an_impossible_setting_is_named(field: str, value: float) -> None:
    with pytest.raises(InvalidValue, match=f"{field}={value!r}: expected"):
        SamplingConfig(**{field: value})
