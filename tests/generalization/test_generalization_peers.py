"""Side by side with PyHessian: the same figures where it is right, and the right ones where it is not."""

import numpy as np
import pyhessian
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.generalization.hessian import hvp
from minidalle.generalization.lanczos import hutchinson_trace, top_eigenvalue
from minidalle.generalization.mean_loss import MeanLoss

DIGITS = torch.randn(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.arange(50) % 3


def classifier() -> nn.Sequential:
    """Six numbers → three classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


class Bowl(nn.Module):
    """½ xᵀAx for A with −10, 3 and 1 on its diagonal; perhaps with a parameter of no use."""

    def __init__(self, unused: bool = False) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.ones(3, dtype=torch.float64))
        if unused:
            self.idle = nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, scale: Tensor) -> Tensor:
        return 0.5 * (scale * self.x**2).sum()


DIAGONAL = torch.tensor([-10.0, 3.0, 1.0], dtype=torch.float64)


def theirs(model: nn.Module, criterion: object, inputs: Tensor, targets: Tensor) -> object:
    return pyhessian.hessian(model, criterion, data=(inputs, targets), cuda=False)


def test_the_top_eigenvalue_of_a_classifier() -> None:
    model, other = classifier(), classifier()
    (expected,), _ = theirs(other, F.cross_entropy, DIGITS, LABELS).eigenvalues(maxIter=2000, tol=1e-10)
    loss = MeanLoss([(lambda: F.cross_entropy(model(DIGITS), LABELS, reduction="sum"), 50)], list(model.parameters()))
    assert top_eigenvalue(loss.product, loss.dim, tolerance=1e-8)[0] == pytest.approx(expected, rel=1e-5)


def test_the_trace_of_a_classifier() -> None:
    model, other = classifier(), classifier()
    samples = theirs(other, F.cross_entropy, DIGITS, LABELS).trace(maxIter=300, tol=0.0)
    params = list(model.parameters())
    mean, error = hutchinson_trace(lambda v: hvp(lambda: F.cross_entropy(model(DIGITS), LABELS), params, v), 83, 300)
    both = np.hypot(error, np.std(samples, ddof=1) / np.sqrt(300))
    assert len(samples) == 300
    assert abs(mean - np.mean(samples)) < 4 * both
    assert error == pytest.approx(np.std(samples, ddof=1) / np.sqrt(300), rel=0.3)


def test_its_top_is_a_magnitude() -> None:
    (found,), _ = theirs(Bowl(), lambda out, _: out, DIAGONAL, DIAGONAL).eigenvalues(maxIter=500, tol=1e-9)
    bowl = Bowl()
    value, _ = top_eigenvalue(lambda v: hvp(lambda: bowl(DIAGONAL), [bowl.x], v), 3)
    assert (found, value) == (pytest.approx(-10, abs=1e-3), pytest.approx(3, abs=1e-9))


def test_it_leaves_the_model_in_eval_mode() -> None:
    bowl = Bowl().train()
    theirs(bowl, lambda out, _: out, DIAGONAL, DIAGONAL)
    assert not bowl.training
    bowl.train()
    MeanLoss([(lambda: bowl(DIAGONAL), 1)], [bowl.x], bowl).product(torch.ones(3))
    assert bowl.training


def test_it_ends_at_an_unused_parameter() -> None:
    bowl = Bowl(unused=True)
    with pytest.raises((AssertionError, AttributeError, RuntimeError, TypeError)):
        theirs(bowl, lambda out, _: out, DIAGONAL, DIAGONAL).eigenvalues()
    product = hvp(lambda: bowl(DIAGONAL), list(bowl.parameters()), torch.ones(5))
    assert product.tolist() == [-10, 3, 1, 0, 0]
