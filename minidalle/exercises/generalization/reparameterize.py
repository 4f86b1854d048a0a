"""Exercise: other weights, the same model: larger queries and smaller keys."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.copies import probe_reparameterize
from minidalle.generalization.rescaling import attention_branches, reparameterize
from minidalle.runtime import generator

Layers = Sequence[str] | None

PARTS = ("query", "key", "value", "output")


def cases(seed: int) -> list[Case]:
    """One branch of single numbers; with biases; two branches, and a layer that is no attention; factors below 1."""
    chance = generator(seed, "generalization.reparameterize")

    def numbers(*shape: int) -> Tensor:
        """With one digit behind the point, none of them zero."""
        sizes = torch.randint(5, 30, shape, generator=chance).float() / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def branch(width: int, bias: bool, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
        return {part: {"weight": numbers(width, width)} | ({"bias": numbers(width)} if bias else {}) for part in parts}

    thinking = ("up", "down")
    return [
        {"branches": {"attention": branch(1, bias=False)}, "alpha": 2.0},
        {"branches": {"attention": branch(1, bias=True)}, "alpha": 3.0},
        {"branches": {"attention": branch(2, True), "feed_forward": branch(2, True, thinking)}, "alpha": 4.0},
        {"branches": {"feed_forward": branch(1, False, thinking), "attention": branch(3, False)}, "alpha": 5.0},
        {
            "branches": {"attention": branch(2, True), "cross_attention": branch(2, True)},
            "alpha": round(0.2 + 0.5 * float(torch.rand((), generator=chance)), 1),
        },
    ]


def _changed(model: nn.Module, factors: dict[str, float], only: str = "", branches: int | None = None) -> nn.Module:
    """A copy with each part of its attention branches times its factor; `only` a weight or a bias."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in list(attention_branches(other).values())[:branches]:
            for part, factor in factors.items():
                for name, parameter in branch[part].named_parameters():
                    if name == only or not only:
                        parameter.mul_(factor)
    return other


def forgets_the_biases(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """A bias belongs to its query, and to its key: multiply and divide it with the weight."""
    return _changed(model, {"query": alpha, "key": 1 / alpha}, only="weight")


def forgets_the_queries_bias(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """A query is weight times token plus bias. It is α times as large only if the bias is, too."""
    return _changed(_changed(model, {"query": alpha}, only="weight"), {"key": 1 / alpha})


def forgets_the_keys_bias(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Divide the key's bias, too. It moves all products of a query alike, so that no output shows if it is missing."""
    return _changed(_changed(model, {"query": alpha}), {"key": 1 / alpha}, only="weight")


def multiplies_the_keys_too(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Queries times α and keys times α make products α² times as large. Divide the keys."""
    return _changed(model, {"query": alpha, "key": alpha})


def takes_one_for_the_other(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """The queries become larger and the keys smaller, not the other way round."""
    return _changed(model, {"query": 1 / alpha, "key": alpha})


def leaves_the_keys(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Products must stay: what the queries are multiplied by, the keys are divided by."""
    return _changed(model, {"query": alpha})


def leaves_the_queries(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Products must stay: what the keys are divided by, the queries are multiplied by."""
    return _changed(model, {"key": 1 / alpha})


def shares_alpha_between_both(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Each gets all of α, not its root: queries times α, keys divided by α."""
    return _changed(model, {"query": math.sqrt(alpha), "key": 1 / math.sqrt(alpha)})


def squares_alpha(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """α once: it is the curvature that goes with α², not the weights."""
    return _changed(model, {"query": alpha**2, "key": alpha**-2})


def divides_the_values_too(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Values do not meet queries in a product: leave them."""
    return _changed(model, {"query": alpha, "key": 1 / alpha, "value": 1 / alpha})


def rescales_values_and_outputs(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Value and output can be rescaled against each other, too, but here it is query and key."""
    return _changed(model, {"value": alpha, "output": 1 / alpha})


def stops_after_the_first_branch(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """All attention branches: go through the values of `attention_branches`, to the last."""
    return _changed(model, {"query": alpha, "key": 1 / alpha}, branches=1)


def changes_the_model_itself(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """The model that is given is still needed, to compare: change a `deepcopy` of it."""
    with torch.no_grad():
        for branch in attention_branches(model).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return model


def adds_alpha(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Multiply and divide: what is added to a query does not cancel with what is taken from a key."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other).values():
            for part, sign in (("query", 1), ("key", -1)):
                for parameter in branch[part].parameters():
                    parameter.add_(sign * alpha)
    return other


def by_the_state_dict(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Right: by the weights' names."""
    other, weights = deepcopy(model), model.state_dict()
    factors = {"query": alpha, "key": 1 / alpha}
    other.load_state_dict({name: weight * factors.get(name.split(".")[-2], 1.0) for name, weight in weights.items()})
    return other


def with_new_parameters(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Right: each layer gets new parameters."""
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        for part, factor in (("query", alpha), ("key", 1 / alpha)):
            for name, parameter in [*branch[part].named_parameters()]:
                setattr(branch[part], name, nn.Parameter(parameter.detach() * factor))
    return other


HINTS = (
    "The model is used afterwards, so work on a copy. Whatever a query is made of becomes α times as large, whatever a "
    "key is made of α times as small.",
    "(α q) · (k / α) = q · k. A query is W x + b, so both W and b are multiplied; those of the key are divided. A "
    "linear layer has them as `parameters()`.",
    """\
def reparameterize(model, alpha, layers=None):
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                ...
            ...
    return other
""",
)

EXERCISE = Exercise(
    id="generalization.reparameterize",
    points=3,
    minutes=15,
    stars=2,
    reference=reparameterize,
    cases=cases,
    wrong=(
        forgets_the_biases,
        forgets_the_queries_bias,
        forgets_the_keys_bias,
        multiplies_the_keys_too,
        takes_one_for_the_other,
        leaves_the_keys,
        leaves_the_queries,
        shares_alpha_between_both,
        squares_alpha,
        divides_the_values_too,
        rescales_values_and_outputs,
        stops_after_the_first_branch,
        changes_the_model_itself,
        adds_alpha,
    ),
    also_right=(by_the_state_dict, with_new_parameters),
    hints=HINTS,
    reaches="curvature_by_scale",
    probe=probe_reparameterize,
    tolerance=1e-5,
)
