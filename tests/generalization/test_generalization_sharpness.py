"""Sharpness of quadratics and of a tiny BART, in closed form."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from curved import bart_hessian, quadratic, random_symmetric, rotated, tiny_bart, tiny_tokens, trace_matrix
from torch import Tensor

from minidalle.errors import InvalidValue
from minidalle.generalization.hessian import flatten
from minidalle.generalization.mean_loss import MeanLoss, bart_loss
from minidalle.generalization.sharpness import average_sharpness, moved, project, sam_sharpness


def bowl(matrix: Tensor, point: Tensor, minimum: Tensor | None = None) -> MeanLoss:
    """½ (x − m)ᵀ A (x − m) at a point."""
    center = torch.zeros_like(point) if minimum is None else minimum
    params, _ = quadratic(matrix, point)

    def loss() -> Tensor:
        x = torch.cat([params[0], params[1].flatten()]) - center
        return 0.5 * x @ matrix @ x

    return MeanLoss([(loss, 1)], params)


def normal(size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_step_on_a_quadratic() -> None:
    """ρ‖g‖ + ½ρ² gᵀAg / ‖g‖²."""
    matrix, point = random_symmetric(10), normal(10, 1)
    found, g = sam_sharpness(bowl(matrix, point), 0.05), matrix @ point
    expected = 0.05 * g.norm() + 0.5 * 0.05**2 * (g @ matrix @ g) / (g @ g)
    assert found.value == pytest.approx(expected.item(), rel=1e-12)
    assert (found.kind, found.radius, found.error) == ("worst, one step", 0.05, 0.0)


def test_one_adaptive_step_on_a_quadratic() -> None:
    matrix, point = random_symmetric(10), normal(10, 1)
    found, g = sam_sharpness(bowl(matrix, point), 0.05, adaptive=True), matrix @ point
    step = 0.05 * point**2 * g / (point * g).norm()
    assert found.value == pytest.approx((step @ g + 0.5 * step @ matrix @ step).item(), rel=1e-12)
    assert found.kind == "worst, one step, adaptive"


@pytest.mark.parametrize("values", [[9.0, 4.0, 1.0, 0.5, 0.1], [3.0, 1.0, 0.5, 0.0, -10.0]])
def test_at_a_minimum_many_steps_find_half_rho_squared_top(values: list[float]) -> None:
    """½ρ²λmax, also where the largest magnitude is negative; one step finds nothing, for want of a gradient."""
    matrix = rotated(torch.tensor(values))
    loss = bowl(matrix, torch.zeros(5).double())
    assert sam_sharpness(loss, 0.1).value == 0
    found = sam_sharpness(loss, 0.1, steps=150)
    assert found.value == pytest.approx(0.5 * 0.1**2 * max(values), rel=1e-6)
    assert found.kind == "worst, 150 steps"


def test_at_a_minimum_adaptive_steps_find_the_rescaled_top() -> None:
    """½ρ²λmax(|W| A |W|)."""
    matrix, point = rotated(torch.tensor([9.0, 4.0, 1.0, 0.5, 0.1])), torch.tensor([2.0, -1, 0.5, 0, 3]).double()
    expected = torch.linalg.eigvalsh(point.abs() * matrix * point.abs()[:, None])[-1].item()
    found = sam_sharpness(bowl(matrix, point, point), 0.1, steps=200, adaptive=True)
    assert found.value == pytest.approx(0.5 * 0.1**2 * expected, rel=1e-6)


def test_two_steps_on_a_quadratic() -> None:
    """Of the two points, the higher one: ρ along the gradient, and from there ρ again and back into the ball."""
    matrix, point, rho = rotated(torch.tensor([9.0, 4.0, 1.0, 0.5, 0.1])), normal(5, 1), 0.3
    first = rho * matrix @ point / (matrix @ point).norm()
    slope = matrix @ (point + first)
    second = first + rho * slope / slope.norm()
    second *= rho / second.norm()
    rises = [(step @ matrix @ point + 0.5 * step @ matrix @ step).item() for step in (first, second)]
    assert rises[1] > rises[0] * 1.0001
    assert sam_sharpness(bowl(matrix, point), rho, steps=2).value == pytest.approx(rises[1], rel=1e-12)


def test_many_steps_find_no_less_than_one_and_never_less_than_zero() -> None:
    for seed in range(5):
        loss = bowl(-rotated(torch.tensor([5.0, 2.0, 1.0, 0.1]), seed), normal(4, seed))
        for rho in (0.01, 5.0):  # beyond its top a hill falls: one step goes too far
            one, many = sam_sharpness(loss, rho), sam_sharpness(loss, rho, steps=10)
            assert many.value >= max(one.value, 0)


def test_the_mean_rise_is_half_sigma_squared_trace() -> None:
    """½σ² tr A = .525; the standard error follows from Var ½δᵀAδ = ½σ⁴‖A‖²."""
    matrix = trace_matrix()
    found = average_sharpness(bowl(matrix, torch.zeros(30).double()), 0.1, 3000)
    error = math.sqrt(0.5 * 0.1**4 * 819 / 3000)
    assert abs(found.value - 0.525) < 4 * error
    assert found.error == pytest.approx(error, rel=0.1)
    assert (found.kind, found.radius) == ("mean of 3000", 0.1)


def test_the_adaptive_mean_rise() -> None:
    """½σ² Σ Aᵢᵢ wᵢ²."""
    matrix, point = trace_matrix(), normal(30, 2)
    found = average_sharpness(bowl(matrix, point, point), 0.1, 3000, adaptive=True)
    expected = 0.5 * 0.1**2 * (matrix.diag() * point**2).sum().item()
    assert abs(found.value - expected) < 4 * found.error < 0.1 * expected
    assert found.kind == "mean of 3000, adaptive"


def test_a_bart_near_its_weights() -> None:
    """Where ρ and σ are small, the whole Hessian says what comes out."""
    bart, tokens = tiny_bart(), tiny_tokens()
    loss, matrix = bart_loss(bart, tokens, np.arange(7), 3), bart_hessian(bart, tokens)
    gradient = flatten(loss.gradient())
    expected = 1e-3 * gradient.norm() + 0.5e-6 * (gradient @ matrix @ gradient) / (gradient @ gradient)
    assert sam_sharpness(loss, 1e-3).value == pytest.approx(expected.item(), rel=1e-6)
    found = average_sharpness(loss, 1e-3, 200)
    slope = 1e-3 * gradient.norm().item()
    assert found.error == pytest.approx(slope / math.sqrt(200), rel=0.2)  # away from a minimum slope is the noise
    assert abs(found.value - 0.5e-6 * matrix.trace().item()) < 4 * found.error


@pytest.mark.parametrize("measure", [
    lambda loss: sam_sharpness(loss, 0.3, steps=3),
    lambda loss: sam_sharpness(loss, 0.3, adaptive=True),
    lambda loss: average_sharpness(loss, 0.3, 3, adaptive=True),
])  # fmt: skip
def test_weights_come_back_bit_for_bit(measure: Callable[[MeanLoss], object]) -> None:
    bart = tiny_bart(dropout=0.1).float().train()
    loss, random = bart_loss(bart, tiny_tokens(), np.arange(7)), torch.random.get_rng_state()
    before = [param.detach().clone() for param in bart.parameters()]
    first = measure(loss)
    assert all(torch.equal(param, old) for param, old in zip(bart.parameters(), before, strict=True))
    assert measure(loss) == first
    assert bart.training
    assert all(param.grad is None for param in bart.parameters())
    assert torch.equal(torch.random.get_rng_state(), random)


def test_weights_come_back_after_an_error() -> None:
    param = torch.full((3,), 0.1, requires_grad=True)
    with pytest.raises(ZeroDivisionError), moved([param], [torch.full((3,), 1e6)]):
        _ = 1 / 0
    assert torch.equal(param.detach(), torch.full((3,), 0.1))


def test_projections() -> None:
    inside, weights = [torch.tensor([0.3]), torch.tensor([0.4])], [torch.tensor([2.0]), torch.tensor([0.5])]
    assert project(inside, weights, 0.6) == inside
    assert flatten(project(inside, weights, 0.1)).tolist() == pytest.approx([0.06, 0.08])
    length = math.hypot(0.3 / 2, 0.4 / 0.5)
    assert flatten(project(inside, weights, 0.1, adaptive=True)).tolist() == pytest.approx(
        [0.03 / length, 0.04 / length]
    )
    assert flatten(project([torch.zeros(1)], [torch.zeros(1)], 0.1, adaptive=True)).tolist() == [0]


LOSS = bowl(torch.eye(4).double(), torch.ones(4).double())
BAD = {
    "rho": lambda: sam_sharpness(LOSS, 0.0),
    "rho, infinite": lambda: sam_sharpness(LOSS, math.inf),
    "steps": lambda: sam_sharpness(LOSS, 0.1, steps=0),
    "sigma": lambda: average_sharpness(LOSS, -1.0, 5),
    "sigma, none": lambda: average_sharpness(LOSS, 0.0, 5),
    "samples": lambda: average_sharpness(LOSS, 0.1, 1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match=name.split(",")[0]):
        BAD[name]()
