"""The quantizer's functions against scipy, NumPy loops and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.spatial.distance
import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.errors import InvalidValue
from minidalle.vqgan import VQGANConfig
from minidalle.vqgan.clustering import kmeans
from minidalle.vqgan.quantizer import (
    VectorQuantizer,
    code_statistics,
    codebook_usage,
    ema_update,
    nearest_code,
    quantizer_loss,
    restart_dead_codes,
    straight_through,
)

EMA = VQGANConfig(codes=8, code_width=3, ema_decay=0.9, restart_below=0.1)
LEARNT = replace(EMA, ema_decay=0.0, restart_below=0.0)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def permutation(n: int, seed: int = 0) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_nearest_code_equals_scipy(scale: float) -> None:
    latents, codebook = normal(2, 50, 4) * scale, normal(30, 4, seed=1) * scale
    distances = scipy.spatial.distance.cdist(latents.reshape(-1, 4).double(), codebook.double())
    assert nearest_code(latents, codebook).tolist() == distances.argmin(1).reshape(2, 50).tolist()


def test_nearest_code_counts_the_length_of_a_code() -> None:
    """The largest inner product is not the smallest distance: (1, 0) is nearer to (1, 0) than to (9, 0)."""
    assert nearest_code(torch.tensor([1.0, 0.0]), torch.tensor([[9.0, 0.0], [1.0, 0.0]])) == 1


def test_nearest_code_takes_the_first_of_a_tie() -> None:
    codebook = torch.tensor([[5.0], [1.0], [-1.0], [1.0]])
    assert nearest_code(torch.tensor([[0.0], [1.0]]), codebook).tolist() == [1, 1]


def test_straight_through_has_one_value_and_the_other_gradient() -> None:
    latents, quantized = normal(2, 5, 3).requires_grad_(), normal(2, 5, 3, seed=1).requires_grad_()
    passed, slope = straight_through(latents, quantized), normal(2, 5, 3, seed=2)
    torch.testing.assert_close(passed, quantized)
    (passed * slope).sum().backward()
    assert torch.equal(latents.grad, slope)
    assert quantized.grad is None


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_beta_weighs_the_gradient_to_the_encoder(beta: float) -> None:
    latents, quantized = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    loss = quantizer_loss(latents, quantized, beta)
    loss.backward()
    pull = 2 * (latents - quantized).detach() / latents.numel()
    torch.testing.assert_close(latents.grad, beta * pull)
    torch.testing.assert_close(quantized.grad, -pull)
    torch.testing.assert_close(loss, (1 + beta) * F.mse_loss(latents, quantized))


def test_code_statistics_equal_a_loop() -> None:
    latents, tokens = normal(2, 20, 3), torch.randint(6, (2, 20), generator=torch.Generator().manual_seed(0))
    counts, sums = code_statistics(latents.requires_grad_(), tokens, 8)
    for code in range(8):
        chose = latents[tokens == code].detach()
        assert counts[code] == len(chose)
        torch.testing.assert_close(sums[code], chose.sum(0))
    assert not sums.requires_grad


def test_statistics_add_up_over_ranks() -> None:
    latents, tokens = normal(4, 10, 3), torch.randint(8, (4, 10), generator=torch.Generator().manual_seed(0))
    halves = [code_statistics(latents[part], tokens[part], 8) for part in (slice(2), slice(2, 4))]
    for whole, first, second in zip(code_statistics(latents, tokens, 8), *halves, strict=True):
        torch.testing.assert_close(whole, first + second)


def test_ema_update_equals_a_loop() -> None:
    codes, width, decay, epsilon = 5, 3, 0.8, 0.01
    counts, sums = torch.rand(codes), normal(codes, width)
    kept = counts.clone(), sums.clone()
    ours = [counts, sums]
    n, m = counts.double().numpy(), sums.double().numpy()
    for step in range(10):
        batch_counts = torch.randint(4, (codes,), generator=torch.Generator().manual_seed(step)).float()
        batch_sums = normal(codes, width, seed=step) * batch_counts.unsqueeze(1)
        *ours, codebook = ema_update(*ours, batch_counts, batch_sums, decay, epsilon)
        for k in range(codes):
            n[k] = decay * n[k] + (1 - decay) * batch_counts[k].item()
            m[k] = decay * m[k] + (1 - decay) * batch_sums[k].double().numpy()
        smoothed = (n + epsilon) / (n.sum() + codes * epsilon) * n.sum()
        np.testing.assert_allclose(codebook, m / smoothed[:, None], rtol=1e-4, atol=1e-5)
    assert torch.equal(counts, kept[0])
    assert torch.equal(sums, kept[1])


def test_ema_update_of_a_code_that_nothing_chose_is_finite() -> None:
    counts, sums = torch.tensor([0.0, 0.0, 0.0, 1.0]), torch.zeros(4, 2)
    assert all(tensor.isfinite().all() for tensor in ema_update(counts, sums, counts, sums, 0.9))


def test_codebook_usage_closed_forms() -> None:
    assert codebook_usage(torch.full((16,), 3)) == (16, pytest.approx(16))
    assert codebook_usage(torch.tensor([0, 0, 7.0])) == (1, pytest.approx(1))
    shares = np.array([0.5, 0.25, 0.25])
    perplexity = np.exp(-(shares * np.log(shares)).sum())
    assert codebook_usage(torch.tensor([2, 0, 1, 0, 1])) == (3, pytest.approx(perplexity))


def test_restart_moves_dead_codes_only() -> None:
    codebook, candidates, order = normal(5, 2), normal(4, 2, seed=1), torch.tensor([2, 0, 3, 1])
    before = codebook.clone()
    counts = torch.tensor([3.0, 0.1, 1.0, 0.0, 2.0])
    restarted_codebook, restarted = restart_dead_codes(codebook, counts, candidates, 1.0, order)
    assert restarted.tolist() == [False, True, False, True, False]
    assert torch.equal(restarted_codebook[[1, 3]], candidates[[2, 0]])
    assert torch.equal(restarted_codebook[[0, 2, 4]], before[[0, 2, 4]])
    assert torch.equal(codebook, before)


def test_restart_with_fewer_candidates_than_dead_codes() -> None:
    codebook, candidates = normal(5, 2), normal(2, 2, seed=1)
    moved, restarted = restart_dead_codes(codebook, torch.zeros(5), candidates, 1.0, torch.tensor([1, 0]))
    assert restarted.tolist() == [True, True, False, False, False]
    assert torch.equal(moved, torch.cat([candidates.flip(0), codebook[2:]]))


@pytest.mark.parametrize("iterations", [0, 1, 7])
def test_kmeans_equals_scipy(iterations: int) -> None:
    points = normal(5000, 3)
    start = points[permutation(5000)[:12]]
    ours = kmeans(points, start, iterations)
    if iterations:
        theirs, _ = scipy.cluster.vq.kmeans2(
            points.double().numpy(), start.double().numpy(), iterations, minit="matrix"
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    else:
        assert torch.equal(ours, start)


def test_kmeans_gives_an_empty_cluster_the_farthest_point() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0]])
    start = torch.tensor([[0.0], [99.0]])
    assert kmeans(points, start, 1).flatten().tolist() == [pytest.approx(11 / 3), 10.0]
    assert kmeans(points, start, 3).flatten().tolist() == [0.5, 10.0]


def test_initialize_puts_codes_at_clusters() -> None:
    quantizer, points = VectorQuantizer(EMA), normal(400, 3)
    quantizer.initialize(points, permutation(400))
    assert torch.equal(quantizer.codebook, kmeans(points, points[permutation(400)[:8]], 10))
    torch.testing.assert_close(quantizer.sums / quantizer.counts.unsqueeze(1), quantizer.codebook)
    with pytest.raises(InvalidValue, match="latents=7: expected at least as many rows as codes=8"):
        quantizer.initialize(points[:7], permutation(7))


def test_update_moves_codes_to_their_latents() -> None:
    quantizer, points = VectorQuantizer(EMA), normal(400, 3)
    quantizer.initialize(points, permutation(400))
    shifted = points + 1
    for step in range(300):
        tokens, _ = quantizer(shifted)
        quantizer.update(*code_statistics(shifted, tokens, 8), shifted, permutation(400, step))
    tokens, quantized = quantizer(shifted)
    for code in range(8):
        mean = shifted[tokens == code].mean(0)
        torch.testing.assert_close(quantizer.codebook[code], mean, rtol=0, atol=0.01)
    assert F.mse_loss(quantized, shifted) < 0.5 * shifted.var()


def test_update_heals_a_collapsed_codebook() -> None:
    points = normal(400, 3)
    used = {}
    for below in (0.0, 0.1):
        quantizer = VectorQuantizer(replace(EMA, restart_below=below))
        quantizer.codebook.fill_(50.0)
        quantizer.codebook[0] = 0.0
        quantizer.sums.copy_(quantizer.codebook)
        for step in range(60):
            tokens, _ = quantizer(points)
            quantizer.update(*code_statistics(points, tokens, 8), points, permutation(400, step))
        used[below] = codebook_usage(torch.bincount(quantizer(points)[0]))[0]
    assert used == {0.0: 1, 0.1: 8}


def test_a_restarted_code_stays_where_it_was_put() -> None:
    quantizer, latents = VectorQuantizer(EMA), normal(20, 3)
    quantizer.counts.copy_(torch.tensor([0.0, *[8.0] * 7]))
    counts = torch.tensor([0.0, *[8.0] * 7])
    sums = counts.unsqueeze(1) * quantizer.codebook
    assert quantizer.update(counts, sums, latents, permutation(20)) == 1
    assert torch.equal(quantizer.codebook[0], latents[permutation(20)[0]])
    assert quantizer.counts[0] == 7  # its fair share: the mean of one 0 and seven 8s
    assert quantizer.update(counts, sums, latents, permutation(20)) == 0
    torch.testing.assert_close(quantizer.codebook[0], latents[permutation(20)[0]], rtol=1e-4, atol=1e-4)


def test_learnt_codebook_learns_and_refuses_a_running_mean() -> None:
    quantizer, latents = VectorQuantizer(LEARNT), normal(5, 3)
    _, quantized = quantizer(latents)
    quantizer_loss(latents, quantized, 0.25).backward()
    assert quantizer.codebook.grad.abs().sum() > 0
    with pytest.raises(InvalidValue, match=r"ema_decay=0\.0"):
        quantizer.update(torch.zeros(8), torch.zeros(8, 3), latents, permutation(5))
    assert not list(VectorQuantizer(EMA).parameters())


@pytest.mark.parametrize("config", [EMA, LEARNT], ids=["ema", "learnt"])
def test_normalized_codes_have_length_one(config: VQGANConfig) -> None:
    quantizer, raw = VectorQuantizer(replace(config, l2_normalize=True)), normal(400, 3) * 7
    latents = quantizer.prepare(raw)
    quantizer.initialize(latents, permutation(400))
    if config.ema_decay:
        tokens, _ = quantizer(latents)
        quantizer.update(*code_statistics(latents, tokens, 8), latents, permutation(400))
        torch.testing.assert_close(quantizer.codebook.norm(dim=1), torch.ones(8))
    tokens, quantized = quantizer(latents)
    torch.testing.assert_close(quantized.norm(dim=-1), torch.ones(400))
    cosine = scipy.spatial.distance.cdist(raw.double(), quantizer.codebook.detach().double(), "cosine")
    assert tokens.tolist() == cosine.argmin(1).tolist()


def test_zero_latents_give_no_nan_when_normalized() -> None:
    quantizer = VectorQuantizer(replace(LEARNT, l2_normalize=True))
    zero = torch.zeros(2, 3, requires_grad=True)
    latents = quantizer.prepare(zero)
    _, quantized = quantizer(latents)
    (quantizer_loss(latents, quantized, 0.25) + straight_through(latents, quantized).sum()).backward()
    assert zero.grad.isfinite().all()
    assert quantizer.codebook.grad.isfinite().all()


def test_bfloat16_latents_are_compared_in_float32() -> None:
    """Codes that are 1/1000 apart are the same number in bfloat16; autocast must not make them so."""
    quantizer = VectorQuantizer(replace(EMA, code_width=1))
    quantizer.codebook.copy_((1 + torch.arange(8) / 1000).unsqueeze(1))
    latents = quantizer.codebook.clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prepared = quantizer.prepare(latents.bfloat16())
        tokens, quantized = quantizer(latents)
    assert prepared.dtype == quantized.dtype == torch.float32
    assert tokens.tolist() == list(range(8))
