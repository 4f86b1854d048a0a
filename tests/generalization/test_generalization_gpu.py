"""What measures generalization, on a GPU: products, eigenvalues and sharpnesses are the CPU's."""

from functools import partial

import numpy as np
import pytest
import torch
from curved import KINDS, tiny_bart, tiny_tokens
from evaluation_world import make_pictures, make_pipeline

from minidalle.errors import InvalidValue
from minidalle.generalization.gap import token_nll
from minidalle.generalization.hessian import hvp
from minidalle.generalization.lanczos import hutchinson_trace, slq_density, top_eigenvalue
from minidalle.generalization.mean_loss import MeanLoss, bart_loss
from minidalle.generalization.measuring import Settings, measure
from minidalle.generalization.sharpness import average_sharpness, sam_sharpness
from minidalle.sampling_config import SamplingConfig

pytestmark = pytest.mark.gpu

Losses = tuple[MeanLoss, MeanLoss]


@pytest.fixture(params=KINDS)
def losses(cuda: torch.device, request: pytest.FixtureRequest) -> Losses:
    """The same loss of the same float64 weights, here and there."""
    tokens = tiny_tokens()
    here, there = (bart_loss(tiny_bart(**KINDS[request.param]).to(where), tokens, np.arange(7), 3)
                   for where in ("cpu", cuda))  # fmt: skip
    return here, there


def test_loss_gradient_and_product(losses: Losses) -> None:
    here, there = losses
    assert there.value() == pytest.approx(here.value(), rel=1e-10)
    for one, other in zip(here.gradient(), there.gradient(), strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-8, atol=1e-11)
    v = torch.randn(here.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(there.product(v), here.product(v), rtol=1e-7, atol=1e-10)
    assert there.product(v.cuda()).device.type == "cuda"  # where the vector is


def test_eigenvalues_trace_and_density(losses: Losses) -> None:
    for which in ("LA", "SA"):
        found = [top_eigenvalue(loss.product, loss.dim, which, tolerance=1e-4)[0] for loss in losses]
        assert found[1] == pytest.approx(found[0], rel=1e-6)
    traces = [hutchinson_trace(loss.product, loss.dim, samples=4) for loss in losses]
    assert traces[1] == pytest.approx(traces[0], rel=1e-7)
    densities = [slq_density(loss.product, loss.dim, steps=6, probes=2) for loss in losses]
    for one, other in zip(*densities, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)


def test_sharpness(losses: Losses) -> None:
    for how in (
        partial(sam_sharpness, rho=0.05),
        partial(sam_sharpness, rho=0.1, steps=3, adaptive=True),
        partial(average_sharpness, sigma=0.02, samples=3),
    ):
        here, there = (how(loss) for loss in losses)
        assert there.value == pytest.approx(here.value, rel=1e-5, abs=1e-9)


def test_float32_products(cuda: torch.device) -> None:
    """At the precision of real weights."""
    tokens, v = tiny_tokens(), None
    products = []
    for where in ("cpu", cuda):
        loss = bart_loss(tiny_bart().float().to(where), tokens, np.arange(7))
        v = torch.randn(loss.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        products.append(loss.product(v))
    assert (products[1] - products[0]).norm() < 1e-4 * products[0].norm()


def test_bfloat16_weights_are_refused_and_logits_upcast(cuda: torch.device) -> None:
    weights = [torch.ones(3, dtype=torch.bfloat16, device=cuda, requires_grad=True)]
    with pytest.raises(InvalidValue, match="float32"):
        hvp(lambda: weights[0].square().sum(), weights, torch.ones(3, device=cuda))
    with pytest.raises(InvalidValue, match="float32"):
        bart_loss(tiny_bart().to(cuda, torch.bfloat16), tiny_tokens(), np.arange(7))
    chance = torch.Generator().manual_seed(1)
    logits, targets = torch.randn(3, 8, 20, generator=chance), torch.randint(20, (3, 8), generator=chance)
    mask = torch.ones(3, 8, dtype=torch.bool)
    rounded = logits.bfloat16()
    found = token_nll(rounded.to(cuda), targets.to(cuda), mask.to(cuda))
    for one, other in zip(token_nll(rounded.float(), targets, mask), found, strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(other.cpu(), one, rtol=1e-5, atol=1e-6)


def test_autocast_around_a_product_changes_nothing(cuda: torch.device) -> None:
    loss = bart_loss(tiny_bart().float().to(cuda), tiny_tokens(), np.arange(7))
    v = torch.ones(loss.dim, dtype=torch.float64)
    plain = loss.product(v)
    with torch.autocast("cuda", dtype=torch.bfloat16), torch.no_grad():
        torch.testing.assert_close(loss.product(v), plain, rtol=1e-5, atol=1e-6)


def test_the_whole_measurement(cuda: torch.device) -> None:
    """All that `minidalle gap` measures of a small world; pictures are drawn without chance."""
    settings = Settings(rows=8, drawn=4, curvature=4, traces=2, density=3)
    found = []
    for where in ("cpu", cuda):
        pipeline = make_pipeline().to(torch.device(where))
        draw = partial(pipeline.draw, sampling=SamplingConfig(temperature=0))
        found.append(measure(pipeline, make_pictures(), draw, settings=settings))
    here, there = found
    for one, other in zip(here.splits, there.splits, strict=True):
        assert other.loss.mean == pytest.approx(one.loss.mean, abs=1e-3)
        assert other.caption_gain.mean == pytest.approx(one.caption_gain.mean, abs=1e-3)
    for before, after in zip(here.curvature, there.curvature, strict=True):
        assert after.value == pytest.approx(before.value, rel=0.03, abs=1e-4), before.name
