"""Values as short text, for a report: long ones are cut in the middle."""

from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from torch import Tensor

LONGEST = 240  # characters
ITEMS, NUMBERS = 16, 24  # shown of a list, of a tensor


def cut(text: str, longest: int = LONGEST) -> str:
    """A text without its middle, where it is too long. Half characters, which no file can hold, are written out."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3]} … {text[-(longest // 3) :]}"


def short(value: object, longest: int = LONGEST) -> str:
    """A value as Python writes it, but short; a tensor with its dtype, shape and numbers."""
    try:
        return cut(_text(value, 0), longest)
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
