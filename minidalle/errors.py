"""Errors that name the field, the value and what would be valid."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


class InvalidValue(ValueError):
    """An option or input that cannot be used. Its message is meant to be shown to a person as it is."""


def require(ok: bool, field: str, value: object, expected: str) -> None:
    """Raise `InvalidValue("field=value: expected …")` unless `ok`.

    Args:
        ok: whether the value can be used.
        field: the name the user knows the value by.
        value: what was given.
        expected: what would have been valid, in words.
    """
    if not ok:
        raise InvalidValue(f"{field}={value!r}: expected {expected}")


KINDS: dict[Any, tuple[Any, str]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "True or False"),
    str: (str, "text"),
    NoneType: (NoneType, "None"),
}
"""What may stand in a field that is declared so, and how it is called. Only `bool` takes a bool."""


def require_kinds(config: object) -> None:
    """Raise `InvalidValue` if a value in a config, a dataclass, is of another kind than its field is declared to have.

    It is declared to be one of `KINDS`, several of them as in `int | None`, a tuple of such, or a config.
    """
    for field, declared in get_type_hints(type(config)).items():
        value = getattr(config, field)
        require(_is_of(value, declared), field, value, _in_words(declared))


def tuple_of(value: Any) -> Any:
    """A list, as JSON has in the place of a tuple, as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def _is_of(value: object, declared: Any) -> bool:
    if isinstance(declared, UnionType):
        return any(_is_of(value, kind) for kind in get_args(declared))
    if get_origin(declared) is tuple:
        return isinstance(value, tuple | list) and all(_is_of(one, get_args(declared)[0]) for one in value)
    kind, _ = KINDS.get(declared, (declared, ""))
    return isinstance(value, kind) and (declared is bool or not isinstance(value, bool))


def _in_words(declared: Any) -> str:
    if isinstance(declared, UnionType):
        return " or ".join(_in_words(kind) for kind in get_args(declared))
    if get_origin(declared) is tuple:
        return f"several values, each {_in_words(get_args(declared)[0])}"
    return KINDS[declared][1] if declared in KINDS else f"a {declared.__name__}"


@contextmanager
def known_as(name: str, field: str) -> Iterator[None]:
    """Within, errors about a field have the name that the user knows its value by.

    Args:
        name: the user's, such as `--parts`.
        field: the one that `require` is called with.
    """
    try:
        yield
    except InvalidValue as error:
        about, _, rest = str(error).partition("=")
        if about != field:
            raise
        raise InvalidValue(f"{name}={rest}") from None
