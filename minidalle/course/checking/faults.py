"""An error of a student's code as a person wants to read it: what, and at which line of theirs."""

import linecache
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

from minidalle.course.checking.limits import TimeUp
from minidalle.course.checking.shown import cut

INSTALLED = ("site-packages", "dist-packages")


def libraries() -> tuple[str, ...]:
    """Where code lies that no student wrote: the package, Python, and what is installed, for one user alone too."""
    pythons = (sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    installed = (place for place in sys.path if Path(place).name in INSTALLED)
    return tuple({os.path.join(place, "") for place in (str(Path(__file__).parents[2]), *pythons, *installed)})


NOT_THEIRS = libraries()
"""Folders whose code is no student's, each with its separator: the package, Python's own library, what is installed."""

SAID = {
    "SystemExit": "it ended Python, as `exit()` does: a function returns",
    "RecursionError": "it calls itself without end",
    "MemoryError": "it wanted more memory than there is",
    "EOFError": "it waits for `input()`: all it needs are its arguments",
}
"""What some errors mean here, where their own message says less."""

OF_DEVICES = ("AcceleratorError", "OutOfMemoryError", "CUDA ", "cuDNN ", "No CUDA ", "Torch not compiled with CUDA")
"""Torch's own kinds of errors of a GPU, and how the others' messages begin."""


def fault(error: BaseException, inside: bool) -> dict[str, Any]:
    """An error as JSON.

    Args:
        error: what was raised.
        inside: whether it arose in the student's function.

    Returns:
        type, message, and the deepest line of the student's own: `line` is its text, `number` counts from the `def`
        of the function named `place`; "" and 0 where there is none, as when the function could not even be called.
    """
    name = TimeUp.__name__ if isinstance(error, TimeUp) else type(error).__name__
    words = SAID.get(name) or " ".join(_message(error).split())
    if isinstance(error, RuntimeError) and "can't allocate memory" in words:
        name, words = "MemoryError", SAID["MemoryError"]
    frames = list(walk_tb(_first(error).__traceback__))
    own = [(frame, line) for frame, line in frames if _is_theirs(frame)] if inside else []
    text, number, place = _place(own[:1] if isinstance(error, RecursionError) else own)  # where that ends is chance
    raised_there = bool(own) and own[-1] == frames[-1]
    unwritten = isinstance(error, NotImplementedError) and raised_there and ("NotImplemented" in text or not words)
    return {"type": name, "message": cut(words), "line": cut(text, 120), "number": number, "place": place,
            "inside": inside, "unwritten": unwritten}  # fmt: skip


def is_of_a_device(error: Mapping[str, Any]) -> bool:
    """Whether a GPU or its driver raised it: through the answer, as by an index out of range, or by itself."""
    return error["type"] in OF_DEVICES or error["message"].startswith(OF_DEVICES)


def _first(error: BaseException) -> BaseException:
    """An end of time comes again where it was caught; the first one tells where the time went."""
    while isinstance(error, TimeUp) and isinstance(error.__context__, TimeUp):
        error = error.__context__
    return error


def _place(own: list[tuple[FrameType, int]]) -> tuple[str, int, str]:
    """The last line of these frames: its text, its number from the `def` around it, and that function's name."""
    if not own:
        return "", 0, ""
    frame, line = own[-1]
    file = frame.f_code.co_filename
    text = linecache.getline(file, line, frame.f_globals).strip()
    named = [one.f_code for one, _ in own if one.f_code.co_filename == file and one.f_code.co_name[0] != "<"]
    code = named[-1] if named else frame.f_code  # a comprehension's line counts from the `def` that it is in
    return text, line - code.co_firstlineno + 1, code.co_name


def in_words(error: dict[str, Any]) -> str:
    """ "IndexError: list index out of range, in line 4 of merge_pair: `left = word[at + 1]`"."""
    late = error["type"] == TimeUp.__name__
    words = "it did not end in time" if late else ": ".join(filter(None, (error["type"], error["message"])))
    if error["number"]:
        words += f", in line {error['number']} of {error['place']}" + (f": `{error['line']}`" if error["line"] else "")
    return f"{words}. Is there a loop that never ends?" if late else words


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _is_theirs(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith((*NOT_THEIRS, "<frozen"))
