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
    """One branch of single numbers; with biases; two branches, and a layer that is no attention; factors below 1; of
    some branches only those that are named."""
    chance = generator(seed, "generalization.reparameterize")

    def numbers(*shape: int) -> Tensor:
        """With one digit behind the point, none of them zero."""
        sizes = torch.randint(5, 30, shape, generator=chance).float() / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def branch(width: int, bias: bool, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
        return {part: {"weight": numbers(width, width)} | ({"bias": numbers(width)} if bias else {}) for part in parts}

    def case(alpha: float, layers: list[Any] | None = None, **branches: Any) -> Case:
        return {"branches": branches, "alpha": alpha, "layers": layers}

    thinking = ("up", "down")
    small = round(0.2 + 0.5 * float(torch.rand((), generator=chance)), 1)
    return [
        case(2.0, attention=branch(1, bias=False)),
        case(3.0, attention=branch(1, bias=True)),
        case(4.0, attention=branch(2, True), feed_forward=branch(2, True, thinking)),
        case(5.0, feed_forward=branch(1, False, thinking), attention=branch(3, False)),
        case(small, attention=branch(2, True), cross_attention=branch(2, True)),
        case(3.0, ["cross_attention"], attention=branch(1, True), cross_attention=branch(1, True)),
        case(small, ["third", "first"], first=branch(2, True), second=branch(2, True), third=branch(3, False)),
    ]


def _changed(
    model: nn.Module, factors: dict[str, float], layers: Layers, only: str = "", branches: int | None = None
) -> nn.Module:
    """A copy with each part of its attention branches times its factor; `only` a weight or a bias."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in list(attention_branches(other, layers).values())[:branches]:
            for part, factor in factors.items():
                for name, parameter in branch[part].named_parameters():
                    if name == only or not only:
                        parameter.mul_(factor)
    return other


def forgets_the_biases(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """A bias belongs to its query, and to its key: multiply and divide it with the weight."""
    return _changed(model, {"query": alpha, "key": 1 / alpha}, layers, only="weight")


def forgets_the_queries_bias(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """A query is weight times token plus bias. It is α times as large only if the bias is, too."""
    return _changed(_changed(model, {"query": alpha}, layers, only="weight"), {"key": 1 / alpha}, layers)


def forgets_the_keys_bias(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Divide the key's bias, too. It moves all products of a query alike, so that no output shows if it is missing."""
    return _changed(_changed(model, {"query": alpha}, layers), {"key": 1 / alpha}, layers, only="weight")


def multiplies_the_keys_too(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Queries times α and keys times α make products α² times as large. Divide the keys."""
    return _changed(model, {"query": alpha, "key": alpha}, layers)


def takes_one_for_the_other(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """The queries become larger and the keys smaller, not the other way round."""
    return _changed(model, {"query": 1 / alpha, "key": alpha}, layers)


def leaves_the_keys(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Products must stay: what the queries are multiplied by, the keys are divided by."""
    return _changed(model, {"query": alpha}, layers)


def leaves_the_queries(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Products must stay: what the keys are divided by, the queries are multiplied by."""
    return _changed(model, {"key": 1 / alpha}, layers)


def shares_alpha_between_both(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Each gets all of α, not its root: queries times α, keys divided by α."""
    return _changed(model, {"query": math.sqrt(alpha), "key": 1 / math.sqrt(alpha)}, layers)


def squares_alpha(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """α once: it is the curvature that goes with α², not the weights."""
    return _changed(model, {"query": alpha**2, "key": alpha**-2}, layers)


def divides_the_values_too(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Values do not meet queries in a product: leave them."""
    return _changed(model, {"query": alpha, "key": 1 / alpha, "value": 1 / alpha}, layers)


def rescales_values_and_outputs(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Value and output can be rescaled against each other, too, but here it is query and key."""
    return _changed(model, {"value": alpha, "output": 1 / alpha}, layers)


def stops_after_the_first_branch(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """All attention branches: go through the values of `attention_branches`, to the last."""
    return _changed(model, {"query": alpha, "key": 1 / alpha}, layers, branches=1)


def leaves_cross_attention_out(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Cross-attention has queries and keys, too. Take every branch that `attention_branches` gives."""
    own = [name for name in attention_branches(model, layers) if "cross" not in name]
    return _changed(model, {"query": alpha, "key": 1 / alpha}, own) if own else deepcopy(model)


def rescales_values_and_outputs_too(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """That is a second rescaling, and it would have to leave the output's bias alone. Query and key are enough."""
    return _changed(model, {"query": alpha, "key": 1 / alpha, "value": alpha, "output": 1 / alpha}, layers)


def goes_through_all_branches_always(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Whoever calls may name some branches only: hand `layers` on to `attention_branches`. None means all."""
    return _changed(model, {"query": alpha, "key": 1 / alpha}, None)


def rescales_layers_that_are_no_attention(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """A feed-forward layer has no queries and no keys. Change what `attention_branches` gives, nothing else."""
    other = _changed(model, {"query": alpha, "key": 1 / alpha}, layers)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.mul_({"up": alpha, "down": 1 / alpha}.get(name.split(".")[-2], 1.0))
    return other


def changes_the_model_itself(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """The model that is given is still needed, to compare: change a `deepcopy` of it."""
    with torch.no_grad():
        for branch in attention_branches(model, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return model


def copies_the_model_for_each_branch_anew(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """One copy, before the loop: a copy in the loop forgets the branches before, and only the last one is rescaled."""
    last = [*attention_branches(model, layers)][-1:]
    return _changed(model, {"query": alpha, "key": 1 / alpha}, last)


def rescales_the_model_and_returns_a_copy(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Rescale the copy: you made one, and then rescaled the model that was given."""
    other = deepcopy(model)
    changes_the_model_itself(model, alpha, layers)
    return other


def multiplies_the_keys_bias(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """The key's bias belongs to its key: divide it, as the weight."""
    other = _changed(_changed(model, {"query": alpha}, layers), {"key": 1 / alpha}, layers, only="weight")
    return _changed(other, {"key": alpha}, layers, only="bias")


def adds_alpha(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Multiply and divide: what is added to a query does not cancel with what is taken from a key."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for part, sign in (("query", 1), ("key", -1)):
                for parameter in branch[part].parameters():
                    parameter.add_(sign * alpha)
    return other


def by_the_state_dict(model: nn.Module, alpha: float, layers: Layers = None) -> nn.Module:
    """Right: by the weights' names."""
    other, weights = deepcopy(model), model.state_dict()
    for branch in attention_branches(model, layers):
        for part, factor in {"query": alpha, "key": 1 / alpha}.items():
            names = [name for name in weights if name.startswith(f"{branch}.{part}.")]
            weights.update({name: weights[name] * factor for name in names})
    other.load_state_dict(weights)
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
    "(α q) · (k / α) = q · k. A query is W x + b, so both W and b are multiplied, and those of the key divided. A "
    "linear layer's `parameters()` are its weight, and its bias where it has one.",
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
        leaves_cross_attention_out,
        rescales_values_and_outputs_too,
        stops_after_the_first_branch,
        goes_through_all_branches_always,
        rescales_layers_that_are_no_attention,
        changes_the_model_itself,
        copies_the_model_for_each_branch_anew,
        rescales_the_model_and_returns_a_copy,
        multiplies_the_keys_bias,
        adds_alpha,
    ),
    also_right=(by_the_state_dict, with_new_parameters),
    hints=HINTS,
    reaches="curvature_by_scale",
    probe=probe_reparameterize,
    tolerance=1e-4,
)
