"""Losses, gaps and their errors against closed forms, simulations with known answers, and NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart import Bart
from minidalle.data.tokens import TokenizedPictures
from minidalle.errors import InvalidValue
from minidalle.generalization.gap import (
    BATCH,
    SURE,
    Examples,
    Surprise,
    gap_between,
    generalization_gap,
    loss_gap,
    surprise,
    token_nats,
    token_nll,
)
from minidalle.presets import TINY

ROWS = 12


def logits_for(nats: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, N, 2] and targets whose surprises are the given ones."""
    likely = -nats.double()
    return torch.stack([likely, torch.log1p(-likely.exp())], -1), torch.zeros(nats.shape, dtype=torch.long)


def each(x: Tensor) -> Tensor:
    """A group of its own for each."""
    return torch.arange(len(x))


# ------------------------------------------------------------ token_nll


def test_token_nll_is_cross_entropy_over_the_tokens_that_count() -> None:
    torch.manual_seed(0)
    logits, targets, mask = torch.randn(5, 7, 11) * 30, torch.randint(11, (5, 7)), torch.rand(5, 7) < 0.6
    mask[:, 0] = True
    found = token_nll(logits, targets, mask)
    torch.testing.assert_close(found.mean, F.cross_entropy(logits[mask], targets[mask]))
    for i in range(5):
        torch.testing.assert_close(found.per_image[i], F.cross_entropy(logits[i][mask[i]], targets[i][mask[i]]))


def test_ragged_images_are_weighted_by_their_tokens() -> None:
    """100 tokens of .48 nats and 10 of 2.43: .657 by tokens; the mean of means would be 1.455."""
    nats = torch.zeros(2, 100).double() + 0.48
    nats[1, :10] = 2.43
    mask = torch.zeros(2, 100, dtype=torch.bool)
    mask[0], mask[1, :10] = True, True
    found = token_nll(*logits_for(nats), mask)
    assert found.mean.item() == pytest.approx(72.3 / 110, abs=1e-12)
    assert found.per_image.mean().item() == pytest.approx(1.455, abs=1e-12)


def test_the_error_is_that_of_image_means_if_all_have_as_many_tokens() -> None:
    nats = torch.rand(9, 5, generator=torch.Generator().manual_seed(0)).double() + 0.1
    found = token_nll(*logits_for(nats), torch.ones(9, 5, dtype=torch.bool))
    means = nats.mean(1).numpy()
    assert found.se.item() == pytest.approx(means.std(ddof=1) / 3, rel=1e-10)


def test_intervals_over_tokens_would_be_nonsense() -> None:
    """Tokens that share a fifth of their variance: over images 95 % of intervals hold the truth, over tokens 40 %."""
    random = np.random.default_rng(0)
    held = {"images": 0, "tokens": 0}
    for _ in range(400):
        nats = 5 + np.sqrt(0.2) * random.normal(size=(60, 1)) + np.sqrt(0.8) * random.normal(size=(60, 64))
        found = token_nll(*logits_for(torch.from_numpy(nats).clamp(min=0.01)), torch.ones(60, 64, dtype=torch.bool))
        naive = nats.std(ddof=1) / np.sqrt(nats.size)
        held["images"] += abs(found.mean.item() - 5) < SURE * found.se.item()
        held["tokens"] += abs(nats.mean() - 5) < SURE * naive
    assert 0.92 < held["images"] / 400 < 0.98
    assert held["tokens"] / 400 < 0.5


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits, targets = torch.randn(4, 3, 50).bfloat16(), torch.zeros(4, 3, dtype=torch.long)
    found = token_nll(logits, targets, torch.ones(4, 3, dtype=torch.bool))
    assert found.mean.dtype == torch.float32
    torch.testing.assert_close(found.mean, F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()))


def test_padding_may_hold_anything() -> None:
    logits, targets, mask = torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3).bool()
    mask[1, 2], logits[1, 2] = False, float("nan")
    assert token_nll(logits, targets, mask).mean.item() == pytest.approx(np.log(4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mask": torch.zeros(2, 3, dtype=torch.bool)}, "no token of image"),
        ({"logits": torch.full((2, 3, 4), float("nan"))}, "finite numbers"),
        (dict.fromkeys(("targets", "mask"), torch.ones(1, 3).long()) | {"logits": torch.zeros(1, 3, 4)}, "one image"),
        (dict.fromkeys(("targets", "mask"), torch.ones(0, 3).long()) | {"logits": torch.zeros(0, 3, 4)}, "images=0"),
        ({"targets": torch.zeros(2, 4, dtype=torch.long)}, "targets="),
        ({"mask": torch.ones(2, 4, dtype=torch.bool)}, "mask="),
        ({"logits": torch.zeros(2, 3)}, "logits="),
    ],
)  # fmt: skip
def test_token_nll_names_what_is_wrong(change: dict[str, Tensor], words: str) -> None:
    given = {"logits": torch.zeros(2, 3, 4), "targets": torch.zeros(2, 3).long(), "mask": torch.ones(2, 3).bool()}
    with pytest.raises(InvalidValue, match=words):
        token_nll(**(given | change))


# ------------------------------------------------------------ loss_gap


def test_loss_gap_of_independent_examples_is_welchs() -> None:
    """With a group each: the difference of means, and the error of Welch's test but for one factor of n/(n − 1)."""
    random = np.random.default_rng(1)
    seen, unseen = random.normal(1, 1, 300), random.normal(2, 3, 200)
    found = loss_gap(torch.from_numpy(seen), torch.from_numpy(unseen), torch.arange(300), torch.arange(300, 500))
    welch = np.sqrt(seen.var() / 300 + unseen.var() / 200) * np.sqrt(500 / 499)
    assert found.gap.item() == pytest.approx(unseen.mean() - seen.mean(), rel=1e-12)
    assert found.se.item() == pytest.approx(welch, rel=1e-12)


def test_loss_gap_is_the_robust_error_of_a_regression() -> None:
    """The same as the sandwich of least squares of the losses on (1, unseen), clustered by group."""
    random = np.random.default_rng(2)
    losses, groups = random.normal(size=70), random.integers(9, size=70)
    design = np.stack([np.ones(70), np.arange(70) >= 30], 1).astype(float)
    coefficients, *_ = np.linalg.lstsq(design, losses, rcond=None)
    bread = np.linalg.inv(design.T @ design)
    scores = [(design * (losses - design @ coefficients)[:, None])[groups == g].sum(0) for g in range(9)]
    variance = 9 / 8 * bread @ sum(np.outer(s, s) for s in scores) @ bread
    found = loss_gap(*map(torch.from_numpy, (losses[:30], losses[30:], groups[:30], groups[30:])))
    assert found.gap.item() == pytest.approx(coefficients[1], rel=1e-10)
    assert found.se.item() == pytest.approx(np.sqrt(variance[1, 1]), rel=1e-10)


@pytest.mark.parametrize("shared", [False, True])
def test_nineteen_of_twenty_intervals_hold_the_truth(shared: bool) -> None:
    """Forty roles of four rows a side, whose losses share most of their variance; roles may be on both sides."""
    random = np.random.default_rng(3)
    held = naive = 0
    for _ in range(500):
        roles = random.normal(size=40)
        other = roles if shared else random.normal(size=40)
        seen, unseen = (np.repeat(r, 4) + 0.5 * random.normal(size=160) for r in (roles, other))
        numbers = np.repeat(np.arange(40), 4)
        groups = (numbers, numbers if shared else numbers + 40)
        gap, se = loss_gap(*map(torch.from_numpy, (seen, unseen, *groups)))
        held += abs(gap.item()) < SURE * se.item()
        naive += (
            abs(gap.item())
            < SURE
            * loss_gap(
                torch.from_numpy(seen), torch.from_numpy(unseen), torch.arange(160), torch.arange(160, 320)
            ).se.item()
        )
    assert 0.92 < held / 500 < 0.98
    assert not 0.92 < naive / 500 < 0.98  # too sure, or where roles are shared not sure enough


def test_gap_of_linear_regression() -> None:
    """d = 10 weights from n = 60 points with unit noise: 2 d/n at the same points, d/n + d/(n − d − 1) at new ones."""
    random, n, d = np.random.default_rng(4), 60, 10
    gaps = {"fixed": [], "random": []}
    for _ in range(3000):
        x, fresh = random.normal(size=(2, n, d))
        y = random.normal(size=n)
        w, *_ = np.linalg.lstsq(x, y, rcond=None)
        seen = torch.from_numpy((y - x @ w) ** 2)
        for name, points in (("fixed", x), ("random", fresh)):
            unseen = torch.from_numpy((random.normal(size=n) - points @ w) ** 2)
            gaps[name].append(loss_gap(seen, unseen, each(seen), each(seen) + n).gap.item())
    for name, truth in (("fixed", 2 * d / n), ("random", d / n + d / (n - d - 1))):
        error = np.std(gaps[name]) / np.sqrt(len(gaps[name]))
        assert abs(np.mean(gaps[name]) - truth) < 4 * error < 0.05


def test_gap_of_a_table_of_tokens() -> None:
    """K chances learned from n tokens: the gap of their likelihood is (K − 1)/n nats, .0075."""
    random, k, n = np.random.default_rng(5), 16, 2000
    gaps = []
    for _ in range(1500):
        truth = random.dirichlet(np.full(k, 5.0))
        seen, unseen = random.choice(k, (2, n), p=truth)
        table = -np.log(np.bincount(seen, minlength=k) / n + 1e-300)
        seen, unseen = torch.from_numpy(table[seen]), torch.from_numpy(table[unseen])
        gaps.append(loss_gap(seen, unseen, each(seen), each(seen) + n).gap.item())
    assert np.mean(gaps) == pytest.approx((k - 1) / n, abs=4 * np.std(gaps) / np.sqrt(len(gaps)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seen": torch.zeros(0), "seen_groups": torch.zeros(0).long()}, "seen="),
        ({"unseen": torch.tensor([float("nan"), 1.0])}, "finite losses"),
        ({"seen_groups": torch.zeros(3).long()}, "seen_groups=3"),
        ({"seen_groups": torch.zeros(2).long(), "unseen_groups": torch.zeros(2).long()}, "groups=1"),
        ({"unseen": torch.zeros(2, 1)}, "unseen="),
    ],
)
def test_loss_gap_names_what_is_wrong(change: dict[str, Tensor], words: str) -> None:
    given = {"seen": torch.zeros(2), "unseen": torch.zeros(2), "seen_groups": torch.arange(2),
             "unseen_groups": torch.arange(2)}  # fmt: skip
    with pytest.raises(InvalidValue, match=words):
        loss_gap(**(given | change))


# ------------------------------------------------------------ generalization_gap


@pytest.fixture
def bart() -> Bart:
    torch.manual_seed(0)
    return Bart(replace(TINY.bart, draft_width=0, dropout=0.5))


def some_examples(bart: Bart, seed: int, rows: int = ROWS) -> Examples:
    random = torch.Generator().manual_seed(seed)
    config = bart.config
    text = torch.randint(config.text_vocab, (rows, config.text_length), generator=random)
    image = torch.randint(config.image_codes, (rows, config.image_length), generator=random)
    tokens = TokenizedPictures(text, torch.ones_like(text).bool(), image, torch.zeros(*image.shape, 3))
    blind = replace(tokens, text=torch.zeros_like(text), text_mask=torch.arange(text.shape[1]).expand_as(text) < 2)
    return Examples(tokens, blind, np.arange(rows) // 3)


def test_the_gap_is_of_eval_mode_and_leaves_the_mode(bart: Bart) -> None:
    train, heldout = some_examples(bart, 0), some_examples(bart, 1)
    found = generalization_gap(bart.train(), train, heldout)
    assert bart.training
    assert found == generalization_gap(bart.eval(), train, heldout)
    assert not bart.training


def test_raw_and_adjusted_are_what_they_are_called(bart: Bart) -> None:
    torch.manual_seed(1)
    other, train, heldout = Bart(bart.config), some_examples(bart, 0), some_examples(bart, 1)
    seen, unseen = (surprise(bart, side).nats.mean().item() for side in (train, heldout))
    assert generalization_gap(bart, train, heldout).raw.gap == pytest.approx(unseen - seen)
    blind = [surprise(bart, replace(side, tokens=side.blind)).nats.mean().item() for side in (train, heldout)]
    gain = [without - nats for without, nats in zip(blind, (seen, unseen), strict=True)]
    assert generalization_gap(bart, train, heldout).adjusted.gap == pytest.approx(gain[0] - gain[1])
    shuffled = [surprise(other, side).nats.mean().item() for side in (train, heldout)]
    lost = (shuffled[0] - seen) - (shuffled[1] - unseen)
    assert generalization_gap(bart, train, heldout, other).adjusted.gap == pytest.approx(lost)


def test_the_adjustment_takes_out_what_makes_pictures_hard() -> None:
    """Unseen pictures that are 2 nats harder for everybody, and half a nat worse to this model."""
    random = torch.Generator().manual_seed(0)
    roles = torch.arange(100) // 4
    hard = [torch.rand(100, generator=random).double() * 3 + extra for extra in (0.0, 2.0)]
    train = Surprise(hard[0] + 1.0, hard[0] + 4.0, roles)
    heldout = Surprise(hard[1] + 1.5, hard[1] + 4.0, roles + 25)
    gap = gap_between(train, heldout)
    assert gap.raw.gap > 2.0
    assert gap.adjusted.gap == pytest.approx(0.5)
    assert gap.adjusted.role_se < 1e-9 < gap.raw.role_se


def test_intervals() -> None:
    random = torch.Generator().manual_seed(0)
    roles = torch.arange(200) // 10
    hard = torch.randn(20, generator=random).double()[roles]
    gap = gap_between(Surprise(hard, hard, roles), Surprise(1 + hard, hard, roles + 20)).raw
    low, high = gap.interval()
    assert (low + high) / 2 == pytest.approx(gap.gap)
    assert high - low == pytest.approx(2 * SURE * gap.role_se)
    low, high = gap.interval("image")
    assert high - low == pytest.approx(2 * SURE * gap.image_se)
    assert gap.role_se > 3 * gap.image_se  # ten rows of a role are one fact: √10
    with pytest.raises(InvalidValue, match="role or image"):
        gap.interval("token")


def test_losses_do_not_depend_on_who_is_beside(bart: Bart) -> None:
    """A single picture, and so many that they are taken in three parts."""
    many = some_examples(bart, 0, rows=2 * BATCH + 1).tokens
    found = token_nats(bart, many)
    assert found.shape == (2 * BATCH + 1,)
    for row in (0, BATCH, 2 * BATCH):
        one = TokenizedPictures(*(part[row : row + 1] for part in vars(many).values()))
        alone = token_nats(bart, one)
        assert alone.tolist() == pytest.approx([found[row].item()], abs=1e-5)


def test_each_module_keeps_its_mode(bart: Bart) -> None:
    """Such as dropout that somebody left on in one layer."""
    one = next(bart.children())
    bart.eval()
    one.train()
    modes = [module.training for module in bart.modules()]
    assert len(set(modes)) == 2
    token_nats(bart, some_examples(bart, 0).tokens)
    assert [module.training for module in bart.modules()] == modes


def test_an_empty_side_is_refused(bart: Bart) -> None:
    with pytest.raises(InvalidValue, match="examples=0"):
        generalization_gap(bart, some_examples(bart, 0), some_examples(bart, 1, rows=0))
