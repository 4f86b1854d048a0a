"""Errors that name the field, the value and what would be valid."""


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
