"""The contrastive loss against closed forms, reranking against topk, recall against what must be found."""

import math

import pytest
import torch
from torch.nn import functional as F

from minidalle.clip import clip_loss, found_among, rerank
from minidalle.errors import InvalidValue


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_model_that_cannot_tell_is_as_bad_as_chance(batch: int) -> None:
    same = unit(1, 8).expand(batch, 8)
    assert clip_loss(same, same, 30.0).item() == pytest.approx(math.log(batch))
    assert clip_loss(unit(batch, 8), unit(batch, 8, seed=1), 0.0).item() == pytest.approx(math.log(batch))


@pytest.mark.parametrize("scale", [1.0, 5.0, 100.0])
def test_orthonormal_pairs_have_a_closed_form(scale: float) -> None:
    vectors = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    matched = math.log(1 + 5 * math.exp(-scale))
    assert clip_loss(vectors, vectors, scale).item() == pytest.approx(matched)
    assert clip_loss(vectors, vectors.roll(1, 0), scale).item() == pytest.approx(scale + matched)


def test_it_is_symmetric_and_keeps_no_order() -> None:
    images, texts = unit(9, 5), unit(9, 5, seed=1)
    loss = clip_loss(images, texts, 12.0)
    assert clip_loss(texts, images, 12.0).item() == pytest.approx(loss.item())
    order = torch.randperm(9)
    assert clip_loss(images[order], texts[order], 12.0).item() == pytest.approx(loss.item())
    assert clip_loss(images[order], texts, 12.0).item() != pytest.approx(loss.item(), rel=1e-3)


def test_both_directions_count() -> None:
    """Two pictures alike: captions cannot choose between them, though pictures still find their captions."""
    images = torch.eye(3, dtype=torch.float64)[[0, 0]]
    texts = torch.eye(3, dtype=torch.float64)[[0, 1]]
    logits = 4.0 * images @ texts.T
    rows = (logits.logsumexp(1) - logits.diagonal()).mean()
    columns = (logits.logsumexp(0) - logits.diagonal()).mean()
    assert rows.item() != pytest.approx(columns.item(), rel=0.1)
    assert clip_loss(images, texts, 4.0).item() == pytest.approx((rows + columns).item() / 2)


def test_the_same_caption_twice_counts_as_wrong_as_in_the_published_loss() -> None:
    vectors = torch.eye(4, dtype=torch.float64)[[0, 0, 1]]
    expected = (2 * math.log(2 + math.exp(-50)) + math.log(1 + 2 * math.exp(-50))) / 3
    assert clip_loss(vectors, vectors, 50.0).item() == pytest.approx(expected)


def test_its_gradients_are_those_of_finite_differences() -> None:
    inputs = unit(4, 3).requires_grad_(), unit(4, 3, seed=1).requires_grad_(), torch.tensor(3.0).double()
    assert torch.autograd.gradcheck(clip_loss, (*inputs[:2], inputs[2].requires_grad_()))


@pytest.mark.parametrize("keep", [1, 3, 8])
def test_rerank_keeps_the_top(keep: int) -> None:
    similarity = torch.randn(5, 8)
    assert torch.equal(rerank(similarity, keep), similarity.topk(keep).indices)


def test_of_equals_the_earlier_candidate_is_kept() -> None:
    similarity = torch.tensor([[0.5, 0.7, 0.7, 0.7], [0.0, 0.0, 0.0, 0.0]])
    assert rerank(similarity, 2).tolist() == [[1, 2], [0, 1]]


@pytest.mark.parametrize("keep", [0, 5])
def test_rerank_keeps_as_many_as_there_are(keep: int) -> None:
    with pytest.raises(InvalidValue, match=f"keep={keep}: expected from 1 to 4"):
        rerank(torch.zeros(2, 4), keep)


def test_recall_of_a_perfect_a_blind_and_a_random_judge() -> None:
    vectors = unit(300, 128)
    assert found_among(vectors, vectors).all()
    assert not found_among(vectors, vectors[:1].expand(300, 128)).any()  # a tie is not found
    assert not found_among(vectors, -vectors).any()
    chance = torch.cat([found_among(vectors, unit(300, 128, seed=1), others=9, seed=s) for s in range(20)])
    assert chance.double().mean().item() == pytest.approx(0.1, abs=0.03)


def test_recall_meets_as_many_other_captions_as_asked_and_never_its_own_twice() -> None:
    """One caption suits every picture better than its own: it is met as often as the lot says."""
    texts = torch.eye(50, dtype=torch.float64)
    images = F.normalize(texts + 2 * texts[:1], dim=1)
    found = torch.stack([found_among(images, texts, others=7, seed=s)[1:] for s in range(40)])
    assert found.double().mean().item() == pytest.approx(1 - 7 / 49, abs=0.02)
    assert found_among(images, texts, others=49)[1:].sum() == 0
    assert found_among(images, texts, others=100).tolist() == [True] + [False] * 49
    assert found_among(images[:1], texts[:1]).tolist() == [True]
