"""A small judge for these tests: calls an answer through its probe, and measures how far two answers are apart."""

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from minidalle.exercises import Case, Exercise

SEEDS = (*range(7), 1001, 2**40, 2**62)


@dataclass
class Outcome:
    """What came of one call.

    Attributes:
        result: what the probe returned; None after an error.
        error: the error's type; empty without one.
        kind: what kind of thing the function returned.
        mutated: which of its arguments it changed.
    """

    result: Any = None
    error: str = ""
    kind: Any = None
    mutated: tuple[bool, ...] = ()


def outcome(exercise: Exercise, function: Callable[..., Any], case: Case) -> Outcome:
    """One call of an answer; every call has a case of its own."""
    found = Outcome()

    @wraps(function)
    def recorder(*arguments: Any) -> Any:
        before = copy.deepcopy(arguments)
        returned = function(*arguments)
        found.kind = kind(returned)
        found.mutated = tuple(distance(*both) > 0 for both in zip(before, arguments, strict=True))
        return returned

    try:
        found.result = exercise.probe(recorder, **copy.deepcopy(dict(case)))
    except Exception as error:
        found.error = type(error).__name__
    return found


def outcomes(exercise: Exercise, function: Callable[..., Any], cases: list[Case]) -> list[Outcome]:
    return [outcome(exercise, function, case) for case in cases]


def apart(some: list[Outcome], others: list[Outcome]) -> float:
    """How far two answers are apart: the largest difference of a number, infinite where anything else differs."""
    return max(_apart(*both) for both in zip(some, others, strict=True))


def _apart(one: Outcome, other: Outcome) -> float:
    same = (one.error, one.kind, one.mutated) == (other.error, other.kind, other.mutated)
    return distance(one.result, other.result) if same else math.inf


def distance(one: Any, other: Any) -> float:
    """The largest difference of two numbers of real type in two JSON trees with tensors; infinite for all else."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return distance(torch.from_numpy(one), torch.from_numpy(other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            return math.inf
        if not one.is_floating_point():
            return 0.0 if torch.equal(one, other) else math.inf
        same = (one == other) | (one.isnan() & other.isnan())
        gaps = torch.where(same, 0.0, (one.double() - other.double()).abs()).nan_to_num(math.inf, math.inf).detach()
        return float(gaps.max()) if gaps.numel() else 0.0
    if isinstance(one, nn.Module) and isinstance(other, nn.Module):
        return distance(one.state_dict(), other.state_dict())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return math.inf
        return max((distance(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return math.inf
        return max((distance(*both) for both in zip(one, other, strict=True)), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
        return 0.0 if one == other else abs(one - other)
    return 0.0 if type(one) is type(other) and one == other else math.inf


Kind = tuple[str, frozenset[Any] | tuple[Any, ...]]


def kind(value: Any) -> Kind:
    """What kind of thing a value is: its type, and the distinct kinds in it. All makes of a mapping are one type."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {[*value.shape]}", ()
    if isinstance(value, Mapping):
        return "mapping", frozenset(kind(item) for item in value.items())
    if isinstance(value, tuple):
        return "tuple", tuple(kind(item) for item in value)
    return type(value).__name__, frozenset(kind(item) for item in value) if isinstance(value, list) else ()


def fits(one: Kind, other: Kind) -> bool:
    """Whether two kinds of thing are one but for what is empty."""
    (name, inside), (other_name, other_inside) = one, other
    if name != other_name or not inside or not other_inside:
        return name == other_name
    if isinstance(inside, tuple):
        return len(inside) == len(other_inside) and all(map(fits, inside, other_inside))
    return all(any(fits(item, other_item) for other_item in other_inside) for item in inside)


def there_and_back(value: Any) -> Any:
    """A value as JSON text with the bytes of its tensors beside it, read again."""
    tensors: dict[str, Tensor] = {}

    def out(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = f"tensor {len(tensors)}"
            tensors[name] = value.contiguous()
            return {"tensor": name}
        if type(value) is dict:
            assert all(type(key) is str for key in value)
            assert value.keys() != {"tensor"}
            return {key: out(item) for key, item in value.items()}
        if type(value) is list:
            return [out(item) for item in value]
        assert value is None or type(value) in (bool, int, float, str), f"{value!r} is no JSON value"
        return value

    text = json.dumps(out(value))
    stored = safetensors.torch.load(safetensors.torch.save(tensors))

    def back(value: Any) -> Any:
        if isinstance(value, dict):
            return stored[value["tensor"]] if value.keys() == {"tensor"} else {k: back(v) for k, v in value.items()}
        return [back(item) for item in value] if isinstance(value, list) else value

    return back(json.loads(text))
