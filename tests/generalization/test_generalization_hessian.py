"""Hessian products, against closed forms and the whole Hessian of tiny models computed another way."""

import pytest
import torch
from curved import KINDS, bart_hessian, nats, quadratic, random_symmetric, tiny_bart, tiny_tokens
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.errors import InvalidValue
from minidalle.generalization.hessian import dense_hessian, flatten, hvp, rescaled, unflatten

TOKENS = tiny_tokens()


def vector(size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_docstrings_example() -> None:
    a, b = (torch.tensor([value], requires_grad=True) for value in (5.0, 7.0))
    assert hvp(lambda: (a**2 + 3 * a * b).sum(), [a, b], torch.tensor([1.0, 0.0])).tolist() == [2, 3]


def test_a_quadratic() -> None:
    matrix, v = random_symmetric(12), vector(12)
    params, loss = quadratic(matrix, vector(12, 1))
    torch.testing.assert_close(hvp(loss, params, v), matrix @ v, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(dense_hessian(loss, params), matrix, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bart(kind: str) -> None:
    bart = tiny_bart(**KINDS[kind])
    params = list(bart.parameters())
    matrix = bart_hessian(bart, TOKENS)
    assert 100 < len(matrix) < 1000
    assert matrix.abs().max() > 0.01
    for seed in range(3):
        v = vector(len(matrix), seed)
        torch.testing.assert_close(hvp(lambda: nats(bart, TOKENS), params, v), matrix @ v, rtol=1e-10, atol=1e-12)


def test_rows_of_an_unused_parameter_are_zero() -> None:
    """PyHessian ends with an error."""
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    matrix = dense_hessian(lambda: (used**3).sum(), [used, unused])
    assert torch.equal(matrix, torch.tensor([6.0, 6, 0, 0, 0]).double().diag())


def test_a_linear_loss_has_no_curvature() -> None:
    param = torch.ones(3, requires_grad=True)
    assert hvp(lambda: (2 * param).sum(), [param], torch.ones(3)).tolist() == [0, 0, 0]


def test_fused_attention_has_second_derivatives_here() -> None:
    """Elsewhere PyTorch's own attention has none, on the CPU either."""
    query, key, value = (vector(8, seed).float().view(1, 1, 4, 2).requires_grad_() for seed in range(3))
    v = vector(24).float()
    plain = hvp(lambda: ((query / 2**0.5 @ key.mT).softmax(-1) @ value).pow(3).sum(), [query, key, value], v)
    fused = hvp(lambda: F.scaled_dot_product_attention(query, key, value).pow(3).sum(), [query, key, value], v)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-4)
    assert plain.any()


def test_everything_is_left_as_it_was() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Tanh(), nn.Linear(4, 1))
    layers[0].eval()
    params = list(layers.parameters())
    for param in params:
        param.grad = torch.full_like(param, 7)
    modes = [module.training for module in layers.modules()]
    before = [param.detach().clone() for param in params]
    random = torch.random.get_rng_state()
    hvp(lambda: layers(torch.ones(5, 3)).pow(2).mean(), params, torch.ones(21))
    assert torch.equal(torch.random.get_rng_state(), random)
    assert [module.training for module in layers.modules()] == modes
    assert all(torch.equal(param, old) and (param.grad == 7).all() for param, old in zip(params, before, strict=True))


def test_no_grad_and_autocast_around_it_do_nothing() -> None:
    layer = nn.Linear(6, 6)
    x = vector(18).float().view(3, 6)

    def product() -> Tensor:
        return hvp(lambda: layer(x).pow(4).mean(), list(layer.parameters()), torch.ones(42))

    expected = product()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(product(), expected)


def test_the_result_has_the_vectors_precision() -> None:
    params, loss = quadratic(torch.eye(5), torch.zeros(5))
    assert hvp(loss, params, torch.ones(5).double()).dtype == torch.float64
    assert hvp(loss, params, torch.ones(5)).dtype == torch.float32


def test_rescaled_is_w_h_w() -> None:
    matrix, point, v = random_symmetric(9), vector(9, 1), vector(9, 2)
    params, loss = quadratic(matrix, point)
    product = rescaled(lambda v: hvp(loss, params, v), params)
    torch.testing.assert_close(product(v), point.abs() * (matrix @ (point.abs() * v)), rtol=1e-13, atol=1e-13)


def test_rescaled_weights_have_a_rescaled_hessian() -> None:
    """w' = Sw: H' = S⁻¹ H S⁻¹ and tr H' = Σ Hᵢᵢ / sᵢ², while |W'| H' |W'| = |W| H |W|."""
    matrix, point, scale = random_symmetric(8), vector(8, 1), vector(8, 2).exp()
    params, loss = quadratic(matrix, point)
    moved, moved_loss = quadratic(matrix / scale / scale[:, None], scale * point)
    changed = dense_hessian(moved_loss, moved)
    torch.testing.assert_close(changed, matrix / scale / scale[:, None], rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(changed.trace(), (matrix.diag() / scale**2).sum(), rtol=1e-13, atol=1e-13)
    v = vector(8, 3)
    invariant = rescaled(lambda v: hvp(loss, params, v), params)(v)
    torch.testing.assert_close(rescaled(lambda v: hvp(moved_loss, moved, v), moved)(v), invariant)


def test_flatten_and_back() -> None:
    tensors = [vector(6).view(2, 3), vector(4), vector(1).view(())]
    for back, tensor in zip(unflatten(flatten(tensors), tensors), tensors, strict=True):
        assert torch.equal(back, tensor)


X = torch.ones(3, requires_grad=True)
BAD = {
    "no parameters": (lambda: X.sum(), [], torch.ones(0), "without parameters"),
    "bfloat16": (lambda: X.sum(), [X.detach().bfloat16().requires_grad_()], torch.ones(3), "model.float"),
    "two precisions": (lambda: X.sum(), [X, X.detach().double().requires_grad_()], torch.ones(6), "all float64"),
    "tied": (lambda: X.sum(), [X, X], torch.ones(6), "tied weights are one weight"),
    "fixed": (lambda: X.sum(), [X, X.detach()], torch.ones(6), "requires_grad"),
    "a short vector": (lambda: X.sum(), [X], torch.ones(2), "a vector of 3"),
    "a matrix": (lambda: X.sum(), [X], torch.ones(3, 1), "a vector of 3"),
    "whole numbers": (lambda: X.sum(), [X], torch.ones(3).long(), "floats"),
    "no scalar": (lambda: X, [X], torch.ones(3), "a scalar"),
    "not a number": (lambda: (X * float("nan")).sum(), [X], torch.ones(3), "finite"),
    "of nothing": (lambda: X.detach().sum(), [X], torch.ones(3), "a function of the parameters"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_would_be_wrong_is_refused(name: str) -> None:
    loss, params, v, reason = BAD[name]
    with pytest.raises(InvalidValue, match=reason):
        hvp(loss, params, v)


def test_a_large_whole_hessian_is_refused() -> None:
    with pytest.raises(InvalidValue, match="5,000"):
        dense_hessian(lambda: X.sum(), [torch.ones(5001, requires_grad=True)])
