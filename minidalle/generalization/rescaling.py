"""Rescaling: other weights, the same model. What it changes says nothing about how well a model generalizes.

Dinh et al. 2017, "Sharp minima can generalize for deep nets", sections 3 and 4, make one layer of a ReLU network larger
and the next one smaller by the same factor: every output stays, and every measure of flatness that looks at the weights
as they are changes at will. A transformer needs no ReLU for that. Two places of our BART allow it for any factor:

- queries and keys meet only in a product, (α q) · (k / α) = q · k;
- values, and the `up` half of a gated feed-forward layer, go on to the next linear layer without bending: attention
  mixes values linearly, a gate only multiplies, and W₂ (α (W₁ x + b₁)) / α + b₂ is what it was.

A GELU bends, and a norm between two layers takes the factor away again, but for its ε: such pairs are refused.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from minidalle.errors import require
from minidalle.generalization.hessian import rescaled
from minidalle.generalization.lanczos import top_eigenvalue
from minidalle.generalization.mean_loss import MeanLoss

Model = TypeVar("Model", bound=nn.Module)


def reparameterize(model: Model, alpha: float, layers: Sequence[str] | None = None) -> Model:
    """A copy of a model with larger queries, smaller keys, and the same outputs.

    In each attention branch the weight of `query` and its bias, if there is one (the BART has none), are
    multiplied by α, those of `key` divided by it. A branch with the query weight [[3.0]], its bias [1.0]
    and the key weight [[5.0]], at α = 2 → [[6.0]], [2.0] and [[2.5]]. `attention_branches(model, layers)`
    has the branches by name: `branch["query"]` is a linear layer.

    Args:
        model: a BART, or anything else with such attention branches; it is not changed.
        alpha: α, above 0. Powers of two change no output at all, others no more than rounding does.
        layers: names of the branches, such as "decoder.layers.0.cross_attention"; None for all.

    Returns:
        The copy. After Dinh et al. 2017, section 3, who rescale two layers with a ReLU between them.

    Raises:
        InvalidValue: α is not above 0, or makes weights that are no numbers; there is no such branch, or
            none.
    """
    require(0 < alpha < float("inf"), "alpha", alpha, "a finite number above 0")
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return require_finite(other, alpha)


def reparameterize_layers(model: Model, alpha: float, pairs: Sequence[tuple[str, str]] | None = None) -> Model:
    """A copy of a model in which one linear layer is larger, the next one smaller, and the outputs are the same.

    Weight and bias of the first layer are multiplied by α; the weight of the second is divided by it, and its
    bias stays, as nothing comes after it.

    Args:
        model: it is not changed.
        alpha: α, above 0.
        pairs: names of two linear layers each, the first one's and the next one's; None for those of
            `linear_pairs`. Whoever names pairs answers for what is between them: nothing, or an activation with
            f(α x) = α f(x), as ReLU is.

    Returns:
        The copy. Source: Dinh et al. 2017, section 3, with biases.

    Raises:
        InvalidValue: α is not above 0, or makes weights that are no numbers; there is no such layer, or no pair.
    """
    require(0 < alpha < float("inf"), "alpha", alpha, "a finite number above 0")
    other = deepcopy(model)
    pairs = linear_pairs(other) if pairs is None else pairs
    require(len(pairs) > 0, "model", type(model).__name__, "one with two linear layers that nothing bends between")
    known = {name: part for name, part in other.named_modules() if isinstance(part, nn.Linear)}
    with torch.no_grad():
        for first, second in pairs:
            for name in (first, second):
                require(name in known, "pairs", name, f"linear layers: {', '.join(known)}")
            for parameter in known[first].parameters():
                parameter.mul_(alpha)
            known[second].weight.div_(alpha)
    return require_finite(other, alpha)


def curvature_by_scale(
    model: Model, alphas: Sequence[float], loss_of: Callable[[Model], MeanLoss], tolerance: float = 0.01
) -> list[tuple[float, float]]:
    """How curved one and the same function looks in other weights.

    Args:
        model: a BART.
        alphas: factors for `reparameterize`.
        loss_of: a model → its loss, such as `lambda bart: bart_loss(bart, tokens, rows)`.
        tolerance: of the eigenvalues.

    Returns:
        For each α the largest eigenvalue of H, which can be had as large as you like, and that of |W|H|W|, which
        stays.
    """
    found = []
    for alpha in alphas:
        loss = loss_of(reparameterize(model, alpha))
        products = (loss.product, rescaled(loss.product, loss.params))
        top, relative = (top_eigenvalue(product, loss.dim, tolerance=tolerance)[0] for product in products)
        found.append((top, relative))
    return found


def attention_branches(model: nn.Module, layers: Sequence[str] | None = None) -> dict[str, nn.ModuleDict]:
    """The attention branches of a model by name, all of them or those that are named.

    Raises:
        InvalidValue: there is no such branch, or none at all.
    """
    found = {name: part for name, part in model.named_modules() if _has(part, "query", "key")}
    require(bool(found), "model", type(model).__name__, "one with attention")
    for name in layers or ():
        require(name in found, "layers", name, f"one of {', '.join(found)}")
    require(layers is None or len(layers) > 0, "layers", layers, "one name or more, or None for all")
    return {name: found[name] for name in (found if layers is None else layers)}


def linear_pairs(model: nn.Module) -> list[tuple[str, str]]:
    """Names of linear layers that follow each other with nothing bent or normalized between them.

    They are `value` and `output` of each attention branch, and `up` and `down` of each feed-forward branch that has a
    gate and no norm inside.
    """
    pairs = []
    for name, part in model.named_modules():
        within = f"{name}." if name else ""
        if _has(part, "value", "output"):
            pairs.append((f"{within}value", f"{within}output"))
        if _has(part, "gate", "up", "down") and "hidden" not in part:
            pairs.append((f"{within}up", f"{within}down"))
    return pairs


def _has(part: nn.Module, *names: str) -> bool:
    return (
        isinstance(part, nn.ModuleDict) and {*names} <= {*part} and all(isinstance(part[n], nn.Linear) for n in names)
    )


def require_finite(model: Model, alpha: float) -> Model:
    """The model, if all its weights are finite.

    Raises:
        InvalidValue: α was too much for some.
    """
    finite = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    require(finite, "alpha", alpha, "a factor that keeps all weights finite")
    return model
