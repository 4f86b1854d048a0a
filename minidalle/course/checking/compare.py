"""Are two results the same, and if not, where do they first differ? JSON values exactly, numbers within a tolerance."""

import math

import torch
from torch import Tensor

from minidalle.course.checking.shown import short
from minidalle.exercises.exercise import Plain


def same(own: Plain, expected: Plain, tolerance: float = 0.0) -> bool:
    """Whether two results are the same. A tensor's dtype does not matter; 1 will do for 1.0, but not for True."""
    return difference(own, expected, tolerance) is None


def difference(own: Plain, expected: Plain, tolerance: float = 0.0) -> str | None:
    """The first difference in words, with its place: "at [2]: 'a', expected 'b'". None where there is none."""
    found = _difference(own, expected, tolerance, "")
    return f"at {found[0]}: {found[1]}" if found and found[0] else found and found[1]


def _difference(own: Plain, expected: Plain, tolerance: float, place: str) -> tuple[str, str] | None:
    if isinstance(own, Tensor) and isinstance(expected, Tensor):
        return _of_tensors(own, expected, tolerance, place)
    if isinstance(own, list) and isinstance(expected, list):
        return _of_lists(own, expected, tolerance, place)
    if isinstance(own, dict) and isinstance(expected, dict):
        return _of_dicts(own, expected, tolerance, place)
    if isinstance(expected, float) and isinstance(own, int | float) and not isinstance(own, bool):
        return None if _near(own, expected, tolerance) else (place, _unlike(own, expected))
    if type(own) is not type(expected):
        return place, f"{short(own)} ({_type(own)}), expected {short(expected)} ({_type(expected)})"
    return None if own == expected else (place, f"{short(own, 80)}, expected {short(expected, 80)}")


def _type(value: Plain) -> str:
    return "None" if value is None else type(value).__name__


def _near(own: float, expected: float, tolerance: float) -> bool:
    if own == expected:  # infinities, too
        return True
    try:
        return (math.isnan(own) and math.isnan(expected)) or abs(own - expected) <= tolerance
    except OverflowError:  # a whole number that is larger than any float
        return False


def _unlike(own: object, expected: object) -> str:
    """Two numbers, with so many digits that they look different."""
    texts = short(own), short(expected)
    return "{}, expected {}".format(*(texts if texts[0] != texts[1] else (repr(own), repr(expected))))


def _of_lists(own: list, expected: list, tolerance: float, place: str) -> tuple[str, str] | None:
    for number, (one, other) in enumerate(zip(own, expected, strict=False)):
        if found := _difference(one, other, tolerance, f"{place}[{number}]"):
            return found
    if len(own) != len(expected):
        return place, f"{_items(len(own))}, expected {len(expected)}"
    return None


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _of_dicts(own: dict, expected: dict, tolerance: float, place: str) -> tuple[str, str] | None:
    for key, value in expected.items():
        if key not in own:
            return place, f"{short(key, 80)} is missing"
        if found := _difference(own[key], value, tolerance, f"{place}[{short(key, 80)}]"):
            return found
    extra = [key for key in own if key not in expected]
    return (place, f"{short(extra[0], 80)} is one too many") if extra else None


def _of_tensors(own: Tensor, expected: Tensor, tolerance: float, place: str) -> tuple[str, str] | None:
    """Where the difference is largest, the first of those; None where none is larger than the tolerance."""
    if own.shape != expected.shape:
        return place, f"shape {list(own.shape)}, expected {list(expected.shape)}"
    size = _distance(own, expected)
    if not size.numel() or not bool((worst := size.max()) > tolerance):
        return None
    flat = int(size.argmax())
    at = [int(index) for index in torch.unravel_index(torch.tensor(flat), own.shape)]
    place += str(at) if at else ""
    place += ", the largest difference" if own.numel() > 1 and math.isfinite(worst) and tolerance else ""
    return place, _unlike(own.flatten()[flat].item(), expected.flatten()[flat].item())


def _distance(own: Tensor, expected: Tensor) -> Tensor:
    """How far each number is from the one expected: 0 for nan and nan, infinite where only one is nan."""
    if own.is_complex() or expected.is_complex():
        own, expected = own.to(torch.complex128), expected.to(torch.complex128)
    elif not own.is_floating_point() and not expected.is_floating_point():
        return (own.long() != expected.long()).double()
    else:
        own, expected = own.double(), expected.double()
    both_nan = own.isnan() & expected.isnan()
    size = (own - expected).abs().double().nan_to_num(nan=math.inf)
    return torch.where(both_nan | (own == expected), 0.0, size)
