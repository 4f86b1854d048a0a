"""Fields of a published `config.json`, each of the kind that it should be."""

from collections.abc import Mapping
from typing import Any

from minidalle.checkpoint import CheckpointError

MOST = 1 << 24  # published vocabularies are the largest numbers, with 50,000


def whole(fields: Mapping[str, Any], name: str, *default: int, most: int = MOST) -> int:
    """A number of things.

    Raises:
        KeyError: there is neither such a field nor a default.
        CheckpointError: it is something else, or more than a model can have.
    """
    value = fields.get(name, *default) if default else fields[name]
    if type(value) is not int or not 0 <= value <= most:
        raise CheckpointError(f"config.json: {name} is {shown(value)}, expected a whole number up to {most}")
    return value


def flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    """Yes or no.

    Raises:
        CheckpointError: it is something else.
    """
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json: {name} is {shown(value)}, expected true or false")
    return value


def start_token(fields: Mapping[str, Any], default: int | None = None) -> int | None:
    """The decoder's first input, which a file may leave open.

    Raises:
        CheckpointError: it is no id.
    """
    name = "decoder_start_token_id"
    return None if fields.get(name, default) is None else whole(fields, name, default or 0)


def shown(value: object) -> str:
    """A value in a message, not endlessly."""
    return repr(value)[:60]
