"""Bent ways: their formula, and two models with a wall between them that is walked around."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.errors import InvalidValue
from minidalle.generalization.connectivity import bend, bezier_barrier, bezier_path
from minidalle.generalization.landscape import barrier, interpolate, loss_at


def test_the_way_is_beziers() -> None:
    w0, control, w1 = ([torch.randn(3, 2, dtype=torch.float64), torch.randn(4, dtype=torch.float64)] for _ in range(3))
    for t in (0.0, 0.2, 0.7, 1.0):
        for found, a, b, c in zip(bezier_path(w0, control, w1, t), w0, control, w1, strict=True):
            torch.testing.assert_close(found, (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
    assert all(torch.equal(a, b) for a, b in zip(bezier_path(w0, control, w1, 1.0), w1, strict=True))
    straight = bezier_path(w0, interpolate(w0, w1, 0.5), w1, 0.3)
    for found, expected in zip(straight, interpolate(w0, w1, 0.3), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_hill_is_walked_around() -> None:
    """The loss is 0 on the unit circle and 1 in its middle; the chord of a right angle dips to (1 − √½)²."""
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    w0, w1 = [torch.tensor([1.0, 0.0], dtype=torch.float64)], [torch.tensor([0.0, 1.0], dtype=torch.float64)]

    def loss() -> Tensor:
        return (w.norm() - 1).square()

    assert barrier(loss_at(loss, [w]), w0, w1, points=21) == pytest.approx((1 - 0.5**0.5) ** 2)
    control = bend(loss, [w], w0, w1, steps=400)
    assert bezier_barrier(loss, [w], w0, control, w1) < 0.001
    torch.testing.assert_close(control[0], torch.ones(2, dtype=torch.float64), rtol=0, atol=0.15)
    assert not w.any()
    assert w.grad is None


def test_the_control_point_is_the_one_that_calculus_finds() -> None:
    """Of the loss (w − 1)² from 0 to 0: w = 2 t (1 − t) c, and c = E[2 t (1 − t)] / E[4 t² (1 − t)²] = 2.5."""
    w, zero = nn.Parameter(torch.zeros(1, dtype=torch.float64)), [torch.zeros(1, dtype=torch.float64)]
    control = bend(lambda: (w - 1).square().sum(), [w], zero, zero, steps=2000, learning_rate=0.01)
    assert control[0].item() == pytest.approx(2.5, abs=0.1)


def test_permuted_networks_are_connected() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    inputs = torch.randn(100, 4, dtype=torch.float64)
    targets = network(inputs).argmax(1)
    params = list(network.parameters())
    before = [parameter.detach().clone() for parameter in params]
    order = torch.randperm(12)
    permuted = [before[0][order], before[1][order], before[2][:, order], before[3]]

    def loss() -> Tensor:
        return F.cross_entropy(network(inputs), targets)

    straight = barrier(loss_at(loss, params), before, permuted, points=21)
    control = bend(loss, params, before, permuted)
    assert straight > 0.2
    assert bezier_barrier(loss, params, before, control, permuted) < straight / 4
    assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))


def test_bad_input_is_told() -> None:
    w = nn.Parameter(torch.zeros(2))
    ends = [torch.zeros(2)], [torch.ones(2)]
    with pytest.raises(InvalidValue, match="steps"):
        bend(lambda: w.sum(), [w], *ends, steps=0)
    with pytest.raises(InvalidValue, match="frozen"):
        bend(lambda: w.sum(), [w.detach()], *ends)
    with pytest.raises(InvalidValue, match="w1"):
        bend(lambda: w.sum(), [w], ends[0], [torch.ones(3)])
    with pytest.raises(InvalidValue, match="loss"):
        bend(lambda: w.sum() / 0, [w], *ends)
    assert not w.any()
