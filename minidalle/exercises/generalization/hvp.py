"""Exercise: the Hessian times a vector, without the Hessian."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_hvp
from minidalle.generalization.hessian import check_loss, check_params, flatten, hvp, second_derivatives, unflatten
from minidalle.runtime import generator

LossFn = Callable[[], Tensor]


def cases(seed: int) -> list[Case]:
    """A quadratic; a straight line, without curvature; a minimum, without slope; a quartic; several tensors; a network
    with a tensor that it does not use, in float32 and float64; a quadratic in float32 and a vector in float64."""
    chance = generator(seed, "generalization.hvp")

    def drawn(*shape: int) -> Tensor:
        """Numbers that can be read, from ±0.5 to ±2."""
        sizes = torch.randint(5, 21, shape, generator=chance).double() / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def symmetric(size: int) -> Tensor:
        half = drawn(size, size)
        return half.tril() + half.tril(-1).T

    def case(formula: str, params: list[Tensor], *known: Tensor, dtype: torch.dtype = torch.float64) -> Case:
        v = drawn(sum(param.numel() for param in params)).to(dtype)
        return {"formula": formula, "params": [*params], "known": [*known], "v": v}

    def network(inputs: int, hidden: int, rows: int, dtype: torch.dtype) -> Case:
        weights = drawn(hidden, inputs) / 2, drawn(hidden) / 2, drawn(1, hidden), drawn(2)
        formula = "mean of (U tanh(W x + b) − y)²; d is not used"
        known = [drawn(rows, inputs).to(dtype), drawn(rows, 1).to(dtype)]
        return case(formula, [weight.to(dtype) for weight in weights], *known, dtype=dtype)

    single, still = [drawn(3).float()], torch.zeros(2, dtype=torch.float64)
    return [
        case("½ w·Aw + b·w", [drawn(2)], symmetric(2), drawn(2)),
        case("b·w", [drawn(2)], drawn(2)),
        case("½ w·Aw + b·w", [still], symmetric(2), still.clone()),
        case("Σ c w⁴", [drawn(3)], drawn(3)),
        case("Σ (A w)² s³", [drawn(2, 3), drawn(3), drawn()]),
        network(2, 3, 4, torch.float32),
        network(3, 4, 6, torch.float64),
        case("½ w·Aw + b·w", single, symmetric(3).float(), drawn(3).float()),
    ]


def _gradient(of: Tensor, params: Sequence[Tensor], *, graph: bool = True) -> Tensor:
    """Of a scalar, as a vector [P]; zeros where it depends on nothing."""
    if not of.requires_grad:
        return torch.zeros_like(flatten(params)).detach()
    return flatten(torch.autograd.grad(of, params, create_graph=graph, materialize_grads=True))


def _product(loss: Tensor, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """What is right."""
    return _gradient(_gradient(loss, params) @ v.to(params[0]), params).detach().to(v)


def _rows(loss: Tensor, params: Sequence[Tensor]) -> list[Tensor]:
    """The Hessian, row by row."""
    return [_gradient(slope, params).detach() for slope in _gradient(loss, params)]


def returns_the_gradient(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The gradient is only halfway: multiply it by v, sum up, and take the gradient of that number."""
    return _gradient(loss_fn(), params).detach().to(v)


def returns_the_gradient_of_another_place(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """∇L + Hv is about the gradient after a step along v. Return its change alone, Hv."""
    loss = loss_fn()
    return _gradient(loss, params).detach().to(v) + _product(loss, params, v)


def leaves_the_graph_out(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Without `create_graph=True` the gradient is a row of plain numbers, and what is taken of it again is zero."""
    slope = _gradient(loss_fn(), params, graph=False).detach() @ v.to(params[0])
    return _gradient(slope, params).to(v)


def takes_flat_for_linear(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """At a minimum the slope is 0, too, and the loss bends all the same. Ask whether it has a graph:
    `slope.requires_grad`."""
    slope = _gradient(loss_fn(), params) @ v.to(params[0])
    return _gradient(slope, params).detach().to(v) if slope else torch.zeros_like(v)


def squares_the_slope(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The gradient of (g·v)² is 2 (g·v) Hv. Take that of g·v itself."""
    return _gradient((_gradient(loss_fn(), params) @ v.to(params[0])) ** 2, params).detach().to(v)


def multiplies_the_gradient_with_itself(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """g (g·v) has only first derivatives in it, and is no Hessian: take the gradient of g·v."""
    gradient = _gradient(loss_fn(), params).detach().to(v)
    return gradient * (gradient @ v)


def differentiates_the_squared_gradient(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The gradient of ½ g·g is Hg. Multiply g by v, not by itself, before you take the gradient again."""
    gradient = _gradient(loss_fn(), params)
    return _gradient(gradient @ gradient / 2, params).detach().to(v)


def forgets_v(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The gradient of the gradient's sum is H times ones. Multiply the gradient by v, and then sum."""
    return _gradient(_gradient(loss_fn(), params).sum(), params).detach().to(v)


def multiplies_by_v_at_the_end(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The gradient of the gradient's sum has each row of H summed up. Multiply by v before the second gradient."""
    return _gradient(_gradient(loss_fn(), params).sum(), params).detach().to(v) * v


def multiplies_by_the_diagonal(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """H also says how one weight changes the slope along another: its diagonal alone is not enough."""
    return torch.stack(_rows(loss_fn(), params)).diagonal().to(v) * v


def treats_each_tensor_alone(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """A tensor's weights change the slopes of other tensors, too. Sum g·v over all of them, and then differentiate."""
    loss, pieces = loss_fn(), unflatten(v.to(params[0]), params)
    blocks = [_product(loss, [param], piece.flatten()) for param, piece in zip(params, pieces, strict=True)]
    return flatten(blocks).to(v)


def squares_v(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """v stands in g·v once. With v squared, H is multiplied by other numbers, and all of them are positive."""
    return _product(loss_fn(), params, v * v)


def makes_v_as_long_as_1(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """H(2v) is twice Hv: take v as it is, and leave its length to whoever calls."""
    return _product(loss_fn(), params, v / v.norm())


def averages_the_slope(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """g·v is a sum over all weights. With `mean` in place of `sum` the product is P times too small."""
    return _product(loss_fn(), params, v) / len(v)


def reads_v_in_the_wrong_order(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """v begins with the numbers of the first tensor, in the order of `params`. You begin with the last one."""
    pieces = v.split([param.numel() for param in reversed(params)])
    return _product(loss_fn(), params, torch.cat([*reversed(pieces)]))


def puts_the_last_tensor_first(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The product is in the order of `params`, as v is: the first tensor's numbers come first."""
    return torch.cat([*reversed(_product(loss_fn(), params, v).split([param.numel() for param in params]))])


def gives_every_tensor_the_beginning_of_v(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Each tensor has numbers of v of its own: the next tensor's begin where those of the one before end."""
    return _product(loss_fn(), params, torch.cat([v[: param.numel()] for param in params]))


def turns_each_tensor_around(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Tensors become vectors row by row, as `reshape(-1)` reads them. You go down the columns."""
    pieces = unflatten(_product(loss_fn(), params, v), params)
    return torch.cat([piece.T.reshape(-1) if piece.dim() == 2 else piece.reshape(-1) for piece in pieces])


def takes_a_difference_of_gradients(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """(∇L(w + εv) − ∇L(w)) / ε is only nearly Hv, and moves the weights. A gradient of the gradient is exact."""
    step, before = 1e-2, _gradient(loss_fn(), params, graph=False)
    with torch.no_grad():
        origins = [param.clone() for param in params]
        for param, piece in zip(params, unflatten(v.to(params[0]), params), strict=True):
            param.add_(piece, alpha=step)
    after = _gradient(loss_fn(), params, graph=False)
    with torch.no_grad():
        for param, origin in zip(params, origins, strict=True):
            param.copy_(origin)
    return ((after - before) / step).to(v)


def asks_for_the_loss_twice(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The product is right, but a loss can take long: call it once, and keep its graph."""
    loss_fn()
    return _product(loss_fn(), params, v)


def writes_into_grad(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """`backward` writes into `.grad`, where an optimizer finds it. `torch.autograd.grad` hands gradients to you."""
    slope = _gradient(loss_fn(), params) @ v.to(params[0])
    if not slope.requires_grad:
        return torch.zeros_like(v)
    for param in params:
        param.grad = None
    slope.backward()
    return flatten([torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in params]).detach().to(v)


def finds_old_gradients_in_grad(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """`backward` adds to what is in `.grad` already. `torch.autograd.grad` leaves `.grad` alone."""
    slope = _gradient(loss_fn(), params) @ v.to(params[0])
    if not slope.requires_grad:
        return torch.zeros_like(v)
    slope.backward()
    return flatten([torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in params]).detach().to(v)


def throws_gradients_away(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """What was in `.grad` is gone, and an optimizer may need it. `torch.autograd.grad` leaves `.grad` alone."""
    for param in params:
        param.grad = None
    return _product(loss_fn(), params, v)


def stumbles_over_unused_tensors(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """A tensor that the loss does not use has no gradient: `materialize_grads=True` makes zeros of it."""
    loss = loss_fn()
    torch.autograd.grad(loss, params, retain_graph=True)
    return _product(loss, params, v)


def with_pieces(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Right: v in the shapes of the tensors, and a vector-Jacobian product of the gradient."""
    pieces = [piece.to(param.dtype) for piece, param in zip(unflatten(v, params), params, strict=True)]
    with torch.enable_grad():
        first = torch.autograd.grad(loss_fn(), params, create_graph=True, allow_unused=True)
    curved = [(slope, piece) for slope, piece in zip(first, pieces, strict=True) if slope is not None and slope.grad_fn]
    if not curved:
        return torch.zeros_like(v)
    second = torch.autograd.grad([one for one, _ in curved], params, [one for _, one in curved], allow_unused=True)
    zeros = [torch.zeros_like(param) if one is None else one for one, param in zip(second, params, strict=True)]
    return torch.cat([one.flatten() for one in zeros]).to(v.dtype)


def row_by_row(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Right, though it takes P gradients: each row of the Hessian times v."""
    gradient = _gradient(loss_fn(), params)
    return torch.stack([_gradient(slope, params).detach().to(v) @ v for slope in gradient])


def in_a_room_of_its_own(loss_fn: LossFn, params: Sequence[Tensor], v: Tensor) -> Tensor:
    """Right: a loop that adds the slope up, tensor by tensor, with the package's checks."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slope, start = 0 * loss, 0
        for param, one in zip(
            params, torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True), strict=True
        ):
            slope = slope + (one.reshape(-1) * v[start : start + param.numel()].to(one)).sum()
            start += param.numel()
        second = torch.autograd.grad(slope, params, allow_unused=True)
    known = [param.new_zeros(param.shape) if one is None else one for param, one in zip(params, second, strict=True)]
    return flatten(known).to(v)


HINTS = (
    "The gradient is a vector of numbers that depend on the weights. Its product with v is one number, how steep the "
    "loss is along v, and that has a gradient again.",
    "g = ∇L, made with `create_graph=True` so that it can be differentiated; Hv = ∇(g · v). `materialize_grads=True` "
    "gives zeros for what is not used. For a linear loss `slope.requires_grad` is False, and Hv is 0.",
    """\
def hvp(loss_fn, params, v):
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(...)  # a list like params
        slope = ...  # along v, a scalar
        if not ...:  # a linear loss
            return torch.zeros_like(v)
        return ...  # the gradient of the slope, as one vector of v's precision
""",
)

EXERCISE = Exercise(
    id="generalization.hvp",
    points=3, minutes=30, stars=2,
    reference=hvp, cases=cases,
    wrong=(forgets_v, finds_old_gradients_in_grad, takes_flat_for_linear, squares_the_slope, throws_gradients_away,
           returns_the_gradient, returns_the_gradient_of_another_place, leaves_the_graph_out,
           multiplies_the_gradient_with_itself, differentiates_the_squared_gradient, multiplies_by_v_at_the_end,
           multiplies_by_the_diagonal, treats_each_tensor_alone, squares_v, makes_v_as_long_as_1, averages_the_slope,
           reads_v_in_the_wrong_order, puts_the_last_tensor_first, gives_every_tensor_the_beginning_of_v,
           turns_each_tensor_around, takes_a_difference_of_gradients, asks_for_the_loss_twice, writes_into_grad,
           stumbles_over_unused_tensors),
    also_right=(with_pieces, row_by_row, in_a_room_of_its_own),
    hints=HINTS,
    reaches="MeanLoss.product",
    forbid=("torch.autograd.functional.hvp", "torch.autograd.functional.vhp", "torch.autograd.functional.hessian",
            "torch.func.hessian", "torch.func.jacrev", "torch.func.jacfwd"), probe=probe_hvp, tolerance=1e-3,
)  # fmt: skip
