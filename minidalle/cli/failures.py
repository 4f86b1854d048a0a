"""Failures as a user should see them: one line and an exit code. Imported only when something went wrong."""

import re
from collections.abc import Sequence
from typing import Any

EXPECTED = (
    (r"greater than or equal to (\S+)", r"\1 or more"),
    (r"a valid integer", "a whole number"),
    (r"a valid number", "a number"),
    (r".* is not one of (.*)", r"one of \1"),
)
"""What typer says of a value that cannot be used, and how we say what would be valid."""


def as_typed(words: str, arguments: Sequence[str]) -> str:
    """An error about a field, by the option that was typed for it: `top_p=2.0: …` after `--top-p 2` → `--top-p=2.0: …`.

    Args:
        words: the error's.
        arguments: what was typed.
    """
    field, _, rest = words.partition("=")
    name, typed = field.replace("_", "-"), {word.partition("=")[0] for word in arguments}
    option = next((option for option in (f"--{name}", f"--data-{name}") if option in typed), None)
    return f"{option}={rest}" if option else words


def complaint(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code; an error that is a fault of ours is raised again."""
    if hasattr(error, "format_message"):  # typer's own: an unknown option, a value that is not one of …
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "minidalle"
        words = (_wrong_value(error) or " ".join(error.format_message().split())).rstrip(".")
        return f"{words}{'' if words.endswith('?') else '.'} What there is: {command} --help", 2
    from minidalle.checkpoint import CheckpointError
    from minidalle.training.distributed import RankFailed
    from minidalle.training.loop import Diverged

    if isinstance(error, CheckpointError | Diverged | RankFailed):
        return str(error), 1
    raise error


def _wrong_value(error: Any) -> str:
    """`-n='0': expected 1 or more`; empty if the error is not about a value, or does not have it."""
    parameter, reasons = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if parameter is None or reasons is None:
        return ""
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
    reason = next(iter(reasons()))
    said = re.sub(r"^(Value error, |Input should be )", "", reason["msg"])
    for pattern, ours in EXPECTED:
        if found := re.match(pattern, said):
            said = found.expand(ours).replace("'", "")
            break
    return f"{name}={reason['input']!r}: expected {said}"
