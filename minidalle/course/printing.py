"""What a student's functions print while they stand in the pipeline: the beginning is shown, the rest is dropped.

A forgotten `print` in a function that is called a hundred thousand times would fill a notebook. Nothing is put around
the functions, so that a call costs what it always did: it is a print that looks who called it.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from types import FrameType, FunctionType
from typing import Any, TextIO

from minidalle.course.code_names import is_theirs
from minidalle.exercises.exercise import Function

MOST, LINE = 800, 80  # characters that are shown of one function in one block; a line counts as at least so many


@contextlib.contextmanager
def beginnings(functions: Mapping[str, Function]) -> Iterator[None]:
    """Show only the beginning of what each of these functions prints in the block, and say where it ends.

    What others print, the block's own lines too, is let through.

    Args:
        functions: by name. Those that are not the student's are let through.
    """
    inner = {name: inspect.unwrap(function) for name, function in functions.items()}
    names = {id(one.__code__): name for name, one in inner.items() if isinstance(one, FunctionType) and is_theirs(one)}
    if not names or sys.stdout is None:  # as on Windows without a console
        yield
        return
    stream: Any = sys.stdout
    if isinstance(stream, _Sieve):  # a block inside a block: one sieve knows them all
        stream, names = stream.stream, stream.names | names
    with contextlib.redirect_stdout(_Sieve(stream, names)):
        yield


class _Sieve:
    """Stands for a stream, and drops what is too much."""

    def __init__(self, stream: TextIO, names: dict[int, str]) -> None:
        """`names`: the functions' names by the id of their code."""
        self.stream, self.names = stream, names
        self._left = dict.fromkeys(names.values(), MOST)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text, or its beginning, or nothing."""
        name = self._printing(sys._getframe(1))
        if name is None:
            return self.stream.write(text)
        left = self._left[name]
        self._left[name] -= len(text) + (LINE - 1) * text.count("\n")
        if self._left[name] > 0:
            return self.stream.write(text)
        if left > 0:
            shown = text[:left]
            end = "" if shown.endswith("\n") else "\n"
            self.stream.write(f"{shown}{end}(What else {name} prints in this block is dropped.)\n")
        return len(text)

    def _printing(self, frame: FrameType | None) -> str | None:
        """The innermost of the functions that are running."""
        while frame is not None:
            if name := self.names.get(id(frame.f_code)):
                return name
            frame = frame.f_back
        return None
