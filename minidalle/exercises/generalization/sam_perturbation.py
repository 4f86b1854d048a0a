"""Exercise: the step that raises the loss most, as far as the gradient knows."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.landscape import probe_sam_perturbation
from minidalle.runtime import generator
from minidalle.training.sam import global_norm, sam_perturbation

Tensors = Sequence[Tensor]
Step = list[Tensor]


def cases(seed: int) -> list[Case]:
    """One tensor; two of one weight; several of other shapes; each plain and adaptive, once with a weight of zero; a
    gradient that is zero, and one that is infinite."""
    chance = generator(seed, "generalization.sam_perturbation")

    def drawn(*shape: int) -> Tensor:
        """Numbers that can be read, from ±0.5 to ±3."""
        sizes = torch.randint(5, 31, shape, generator=chance) / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def case(rho: float, adaptive: bool, *shapes: tuple[int, ...]) -> dict[str, Any]:
        params, gradients = ([drawn(*shape) for shape in shapes] for _ in range(2))
        return {"params": params, "gradients": gradients, "rho": rho, "adaptive": adaptive}

    single, several = [(), ()], [(2, 3), (3,), ()]
    dead, double = case(0.5, True, *several), case(2.0, False, (2, 2), (4,))
    dead["params"][1][0] = 0.0
    for name in ("params", "gradients"):
        double[name] = [tensor.double() for tensor in double[name]]
    flat, infinite = case(0.5, False, (2,), (1,)), case(0.1, True, (3,), (2,))
    flat["gradients"] = [torch.zeros(2), torch.zeros(1)]
    infinite["gradients"][0][1] = math.inf
    return [
        case(0.5, False, (2,)),
        case(2.0, False, *single),
        case(2.0, True, *single),
        case(0.1, False, *several),
        dead,
        double,
        flat,
        infinite,
    ]


def _scales(params: Tensors, adaptive: bool) -> list[Tensor]:
    """How long a step of 1 is for each weight."""
    return [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]


def _times(some: Tensors, others: Tensors) -> list[Tensor]:
    return [one * other for one, other in zip(some, others, strict=True)]


def _parts(params: Tensors, gradients: Tensors, adaptive: bool) -> tuple[list[Tensor], float]:
    """What is right before it is divided, g or w² g, and what it is divided by."""
    scales = _scales(params, adaptive)
    scaled = _times(scales, gradients)
    return _times(scales, scaled), global_norm(scaled)


def _divided(parts: Tensors, norm: float, rho: float) -> list[Tensor]:
    """ρ parts / norm; zeros where there is no direction."""
    known = 0 < norm < math.inf
    return [rho / norm * part if known else torch.zeros_like(part) for part in parts]


def _right(params: Tensors, gradients: Tensors, rho: float, adaptive: bool) -> list[Tensor]:
    return _divided(*_parts(params, gradients, adaptive), rho)


def gives_each_tensor_a_length_of_rho(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """All tensors together are ρ long, so there is one norm: that of the whole gradient, `global_norm`."""
    pairs = zip(params, gradients, strict=True)
    return [_right([param], [gradient], rho, adaptive)[0] for param, gradient in pairs]


def adds_the_norms_of_the_tensors(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Lengths 3 and 4 are together √(3² + 4²) = 5, not 7. `global_norm` does that."""
    parts, norm = _parts(params, gradients, adaptive)
    norms = [part.norm().item() for part in _times(_scales(params, adaptive), gradients)]
    return _divided(parts, sum(norms) if norm < math.inf else norm, rho)


def forgets_to_divide(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """A steep loss makes your step long. Divide by the norm: how far to go is up to ρ alone."""
    parts, _ = _parts(params, gradients, adaptive)
    return [rho * part for part in parts]


def divides_by_the_squared_norm(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """g / ‖g‖ has length 1, but g / ‖g‖² has not: take the root of the sum of squares."""
    parts, norm = _parts(params, gradients, adaptive)
    return _divided(parts, norm**2, rho)


def divides_by_summed_absolute_values(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """A length is the root of the sum of squares, not the sum of what each number is without its sign."""
    parts, _ = _parts(params, gradients, adaptive)
    scaled = _times(_scales(params, adaptive), gradients)
    return _divided(parts, sum(part.abs().sum().item() for part in scaled), rho)


def divides_by_the_largest_number(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """With the largest number in place of the norm, ε is longer than ρ. All numbers are part of a length."""
    parts, _ = _parts(params, gradients, adaptive)
    scaled = _times(_scales(params, adaptive), gradients)
    return _divided(parts, max(part.abs().max().item() for part in scaled), rho)


def divides_by_the_norm_of_the_weights(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """What is made as long as ρ is the gradient: divide by its norm, not by that of the weights."""
    parts, norm = _parts(params, gradients, adaptive)
    return _divided(parts, global_norm([param.detach() for param in params]) if 0 < norm < math.inf else norm, rho)


def divides_by_the_number_of_tensors(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """ρ is the length of the whole step. It is not shared out among the tensors."""
    return [part / len(params) for part in _right(params, gradients, rho, adaptive)]


def steps_by_the_sign_alone(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """A weight on which the loss depends more moves farther: keep the gradient's sizes, and divide all by one norm."""
    scales, (_, norm) = _scales(params, adaptive), _parts(params, gradients, adaptive)
    return [
        rho * scale * gradient.sign() * (norm < math.inf) for scale, gradient in zip(scales, gradients, strict=True)
    ]


def forgets_rho(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """g / ‖g‖ has length 1. The step is ρ long: multiply by it."""
    return _right(params, gradients, 1.0, adaptive)


def squares_rho(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """ρ is the length itself, and stands in the formula once."""
    return _right(params, gradients, rho**2, adaptive)


def goes_downhill(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """The gradient points up, and up is where SAM looks: no minus. The optimizer goes down later."""
    return _right(params, gradients, -rho, adaptive)


def adds_the_weights(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Return the step ε alone. Whoever calls adds it to the weights."""
    steps = _right(params, gradients, rho, adaptive)
    return [param.detach() + step for param, step in zip(params, steps, strict=True)]


def is_never_adaptive(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """If `adaptive` is true, large weights move farther: w² times the gradient, over the norm of |w| times it."""
    return _right(params, gradients, rho, False)


def is_always_adaptive(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Look at `adaptive`: if it is false, the weights do not count at all."""
    return _right(params, gradients, rho, True)


def multiplies_by_the_weights_size_once(
    params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False
) -> Step:
    """Adaptive, |w| is in the norm once, but w² is above it: one |w| scales the gradient, the other one the step."""
    scaled = _times(_scales(params, adaptive), gradients)
    return _divided(scaled, global_norm(scaled), rho)


def divides_by_the_length_of_the_step(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Adaptive, ε / |w| is ρ long, and not ε. So below is ‖|w| ⊙ g‖, with |w| and not w²."""
    parts, _ = _parts(params, gradients, adaptive)
    return _divided(parts, global_norm(parts), rho)


def leaves_the_weights_out_of_the_norm(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Adaptive, the norm is that of |w| ⊙ g, not of g: multiply each gradient by its weight's size before."""
    return _divided(_parts(params, gradients, adaptive)[0], global_norm(gradients), rho)


def keeps_the_sign_of_the_weights(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """w times |w| turns the step around where a weight is negative, and leads down. w² is never negative."""
    signs = [param.detach().sign() if adaptive else torch.ones_like(param) for param in params]
    return _times(signs, _right(params, gradients, rho, adaptive))


def gives_a_tensor_one_size(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Adaptive, every weight has its own |w|. You take one for each tensor, its norm."""
    sizes = [torch.full_like(param, param.detach().norm().item()) for param in params]
    return _right(sizes, gradients, rho, adaptive)


def divides_zero_by_zero(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Where the gradient is zero, so is its norm, and 0 / 0 is no number. There ε is zero: ask before you divide."""
    parts, norm = _parts(params, gradients, adaptive)
    return [rho * part / norm for part in parts]


def lets_an_infinite_gradient_pass(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """A small number below the line is enough for a zero gradient, but ∞ / ∞ is no number, and would ruin the weights.
    If the norm is not finite, ε is zero."""
    parts, norm = _parts(params, gradients, adaptive)
    return [rho * part / (norm + 1e-12) for part in parts]


def leaves_out_what_is_not_finite(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """A number that is not finite says that the whole gradient is none: then ε is zero everywhere, not only there."""
    finite = [gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in gradients]
    return _right(params, finite, rho, adaptive)


def as_one_vector(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Right: all numbers in one vector, cut into tensors at the end."""
    w, g = (torch.cat([tensor.detach().reshape(-1) for tensor in tensors]) for tensors in (params, gradients))
    metric = w.square() if adaptive else torch.ones_like(w)
    norm = (metric * g.square()).sum().sqrt()
    usable = norm > 0 and norm.isfinite()
    step = rho * metric * g / norm if usable else torch.zeros_like(w)
    pieces = step.split([param.numel() for param in params])
    return [piece.view(param.shape) for piece, param in zip(pieces, params, strict=True)]


def loop_by_loop(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Right: a loop that adds up squares, and one that divides."""
    total = 0.0
    for param, gradient in zip(params, gradients, strict=True):
        total += ((param.detach() * gradient if adaptive else gradient) ** 2).sum().item()
    steps = []
    for param, gradient in zip(params, gradients, strict=True):
        if total == 0 or not math.isfinite(total):
            steps.append(torch.zeros_like(gradient))
        else:
            steps.append((param.detach() ** 2 if adaptive else 1) * gradient * (rho / math.sqrt(total)))
    return steps


def with_foreach(params: Tensors, gradients: Tensors, rho: float, adaptive: bool = False) -> Step:
    """Right: PyTorch's own arithmetic of lists."""
    weights, slopes = [param.detach() for param in params], [*gradients]
    norm = global_norm(torch._foreach_mul(weights, slopes) if adaptive else slopes)
    if norm == 0 or norm == math.inf or math.isnan(norm):
        return [0 * weight for weight in weights]
    steps = torch._foreach_mul(slopes, rho / norm)
    return [*(torch._foreach_mul(torch._foreach_mul(steps, weights), weights) if adaptive else steps)]


HINTS = (
    "The gradient says which way is up. Give it the length that is wanted, without a change of direction: all tensors "
    "are divided by one and the same number.",
    "ε = ρ g / ‖g‖ with ‖g‖ = `global_norm(gradients)`. Adaptive, with s = |w|: scale the gradient, s ⊙ g, take the "
    "norm of that, and multiply by s once more: ε = ρ s ⊙ (s ⊙ g) / ‖s ⊙ g‖. A norm of 0, ∞ or NaN gives zeros.",
    """\
def sam_perturbation(params, gradients, rho, adaptive=False):
    weights = [param.detach().abs() if adaptive else ... for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = ...  # one for all tensors
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [... for weight, part in zip(weights, scaled, strict=True)]
""",
)

EXERCISE = Exercise(
    id="generalization.sam_perturbation",
    points=3, minutes=15, stars=2,
    reference=sam_perturbation, cases=cases,
    wrong=(leaves_out_what_is_not_finite, gives_each_tensor_a_length_of_rho, adds_the_norms_of_the_tensors,
           forgets_to_divide, divides_by_the_squared_norm, divides_by_summed_absolute_values,
           divides_by_the_largest_number, divides_by_the_norm_of_the_weights, divides_by_the_number_of_tensors,
           steps_by_the_sign_alone, forgets_rho, squares_rho, goes_downhill, adds_the_weights, is_never_adaptive,
           is_always_adaptive, multiplies_by_the_weights_size_once, divides_by_the_length_of_the_step,
           leaves_the_weights_out_of_the_norm, keeps_the_sign_of_the_weights, gives_a_tensor_one_size,
           divides_zero_by_zero, lets_an_infinite_gradient_pass),
    also_right=(as_one_vector, loop_by_loop, with_foreach),
    hints=HINTS,
    reaches="sam_sharpness", probe=probe_sam_perturbation, tolerance=1e-4,
)  # fmt: skip
