"""Values as short text, for a report: long ones are cut in the middle."""

from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from torch import Tensor

LONGEST = 240  # characters
ITEMS, NUMBERS = 16, 24  # shown of a list, of a tensor
WEIGHTS = 3 * LONGEST  # characters of tensors in dicts, of which nothing can be left out without losing the structure


def cut(text: str, longest: int = LONGEST) -> str:
    """A text without its middle, where it is too long. Half characters, which no file can hold, are written out."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3]} … {text[-(longest // 3) :]}"


def short(value: object, longest: int = LONGEST) -> str:
    """A value as Python writes it, but short; a tensor with its dtype, shape and numbers, weights as examples do."""
    try:
        return cut(_weights(value), WEIGHTS) if _is_weights(value) else cut(_text(value, 0), longest)
    except Exception:  # a `__repr__` of the student's own
        return f"<{type(value).__name__}>"


def _text(value: object, depth: int) -> str:
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, str) and len(value) > LONGEST:
        return repr(cut(value))
    if isinstance(value, float) and len(repr(value)) > 9:
        return f"{value:.6g}"
    if depth > 10:
        return "…"
    if isinstance(value, dict):
        return "{" + _joined(value, lambda key: f"{_text(key, depth + 1)}: {_text(value[key], depth + 1)}") + "}"
    if isinstance(value, list | tuple | set | frozenset) and value:
        items = _joined(value, lambda item: _text(item, depth + 1))
        if isinstance(value, tuple):
            return f"({items},)" if len(value) == 1 else f"({items})"
        return f"[{items}]" if isinstance(value, list) else f"{{{items}}}"
    return repr(value)


def _is_weights(value: object) -> bool:
    """Whether it is dicts of tensors in a dict."""
    inside = list(value.values()) if isinstance(value, dict) else []
    return bool(inside) and all(
        isinstance(one, dict) and one and (all(isinstance(leaf, Tensor) for leaf in one.values()) or _is_weights(one))
        for one in inside
    )


def _weights(value: Any) -> str:
    """All numbers of weights where there are few, as in {'up': {'weight': [[2]]}}; else their dtypes and shapes."""

    def text(one: Any, leaf: Callable[[Tensor], str]) -> str:
        if isinstance(one, Tensor):
            return leaf(one)
        return "{" + ", ".join(f"{key!r}: {text(item, leaf)}" for key, item in one.items()) + "}"

    def numbers(one: Tensor) -> str:
        return _nested(one.detach().cpu().tolist())

    def shape(one: Tensor) -> str:
        return _tensor(one).partition(":")[0].removeprefix("tensor ")

    few = sum(map(Tensor.numel, _leaves(value))) <= NUMBERS
    return text(value, numbers) if few else text(value, shape)


def _leaves(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for one in value.values() for leaf in _leaves(one)]


def _joined(values: Collection, text: Callable[[Any], str]) -> str:
    shown = [text(value) for value in islice(values, ITEMS)]
    more = len(values) - len(shown)
    return ", ".join([*shown, f"… {more} more"] if more else shown)


def _tensor(value: Tensor) -> str:
    name = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    value = value.detach()
    if value.device.type == "meta":
        return f"tensor {name} without values"
    if value.numel() <= NUMBERS:
        return f"tensor {name}: {_nested(value.cpu().tolist())}"
    first = ", ".join(_number(number) for number in value.flatten()[:8].tolist())
    return f"tensor {name}: {first}, …"


def _nested(value: object) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else _number(value)


def _number(number: object) -> str:
    return f"{number:.4g}" if isinstance(number, float) else str(number)
