"""Mode connectivity: where the straight way between two models leads over a barrier, a bent one may lead around it."""

from collections.abc import Callable

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.generalization.landscape import (
    Loss,
    Tensors,
    barrier,
    interpolate,
    loss_at,
    require_alike,
    restored,
    write,
)
from minidalle.runtime import generator


def bezier_path(w0: Tensors, control: Tensors, w1: Tensors, t: float) -> list[Tensor]:
    """The weights at t on a bent way: (1 − t)² w0 + 2 t (1 − t) control + t² w1.

    [[0.0]], [[4.0]], [[0.0]], 0.5 → [[2.0]]. It begins in the direction of the control point, and arrives from there.

    Args:
        w0: the weights at t = 0.
        control: the point that bends the way; the way does not go through it.
        w1: the weights at t = 1.
        t: how far, from 0 to 1.

    Returns:
        New tensors. Source: Garipov et al. 2018, "Loss surfaces, mode connectivity, and fast ensembling of DNNs".

    Raises:
        InvalidValue: the shapes differ, or a number is not finite.
    """
    return interpolate(interpolate(w0, control, t), interpolate(control, w1, t), t)


def bend(
    loss: Callable[[], Tensor],
    params: Tensors,
    w0: Tensors,
    w1: Tensors,
    steps: int = 500,
    learning_rate: float = 0.02,
    seed: int = 0,
) -> list[Tensor]:
    """Find the control point of a way with a low loss, beginning with the straight way.

    Each of Adam's steps lowers the loss at one random t. The slope of the way by its control point is 2 t (1 − t), so
    the model's own gradient is all that it needs.

    Args:
        loss: a loss that looks at `params`, as for `loss_at`; it may take another batch each time.
        params: the model's own parameters, which require gradients; they are restored.
        w0: one model's weights.
        w1: the other's.
        steps: how many.
        learning_rate: of Adam.
        seed: of the t.

    Returns:
        The control point, for `bezier_path`. Source: Garipov et al. 2018, whose t are uniform, too.

    Raises:
        InvalidValue: weights that do not fit each other, frozen parameters, no step, a loss that is not finite.
    """
    require(steps >= 1, "steps", steps, "1 or more")
    require(
        all(parameter.requires_grad for parameter in params), "params", "frozen", "parameters that require gradients"
    )
    require_alike("w0", w0, params)
    control = interpolate(w0, w1, 0.5)
    optimizer = torch.optim.Adam(control, lr=learning_rate)
    times = torch.rand(steps, generator=generator(seed, "Bézier curve"), dtype=torch.float64).tolist()
    with restored(params):
        for t in times:
            write(params, bezier_path(w0, control, w1, t))
            value = loss()
            require(bool(value.isfinite()), "loss", value.item(), "a finite number")
            slopes = torch.autograd.grad(value, list(params), allow_unused=True, materialize_grads=True)
            for point, slope in zip(control, slopes, strict=True):
                point.grad = 2 * t * (1 - t) * slope
            optimizer.step()
    return control


def bezier_barrier(loss: Loss, params: Tensors, w0: Tensors, control: Tensors, w1: Tensors, points: int = 21) -> float:
    """The `barrier` along a bent way: how high the loss rises above the straight line between the losses at its ends.

    Args:
        loss: see `loss_at`.
        params: the model's own parameters; they are restored.
        w0: one model's weights.
        control: see `bezier_path`.
        w1: the other's.
        points: how many t, both ends included.
    """
    at = loss_at(loss, params)
    start, end = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    return barrier(lambda t: at(bezier_path(w0, control, w1, float(t[0]))), [start], [end], points)
