"""Errors that name the field, the value and what would be valid."""

from collections.abc import Iterator
from contextlib import contextmanager


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
