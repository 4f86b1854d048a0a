"""One warm sandbox in a process: made when it is first needed, kept from student to student, closed at the end."""

import ast
import atexit
from typing import NamedTuple

from minidalle.course.notebook_code import Cell, definitions
from minidalle.errors import require
from minidalle.grading.container import open_sandbox
from minidalle.grading.released import Release
from minidalle.grading.sandbox import Lost, Sandbox

DEVICES = ("cpu", "cuda")


class _Kept(NamedTuple):
    key: tuple[object, ...]
    sandbox: Sandbox


_kept: list[_Kept] = []  # at most one


def warm_sandbox(release: Release, device: str = "cpu", unsafe: bool = False) -> Sandbox:
    """The sandbox that has imported what a lesson imports; for another lesson a new one takes its place.

    Raises:
        InvalidValue: there is no sandbox on this machine, or not this device; says what to install.
    """
    key = (release.digest, device, unsafe)
    if not (_kept and _kept[0].key == key):
        close_sandbox()
        require_device(device)
        _kept.append(_Kept(key, open_sandbox(lesson_imports(release), unsafe, device)))
    return _kept[0].sandbox


def require_device(device: str) -> None:
    """Raise `InvalidValue` unless torch finds such a device here."""
    require(device in DEVICES, "device", device, " or ".join(DEVICES))
    if device == "cuda":
        import torch

        require(torch.cuda.is_available(), "device", device, "cpu, as torch finds no NVIDIA GPU here")


def require_device_inside(device: str, unsafe: bool = False) -> None:
    """A GPU of the machine's need not be one of the sandbox's, where answers run.

    Raises:
        InvalidValue: answers cannot run on it here; says why. Or there is no sandbox.
    """
    require_device(device)
    if device != "cpu":
        with open_sandbox((), unsafe, device) as sandbox:
            try:
                sandbox.require_working()
            except Lost as lost:
                require(False, "device", device, f"cpu, as answers cannot use this GPU in the sandbox: {lost}")


def lesson_imports(release: Release) -> list[str]:
    """The import statements of a released notebook, each once."""
    cells = [Cell(id, cell["source"]) for id, cell in release.cells.items() if cell["cell_type"] == "code"]
    found = [statement for _, statement in definitions(cells).kept]
    return [*dict.fromkeys(ast.unparse(one) for one in found if isinstance(one, ast.Import | ast.ImportFrom))]


def close_sandbox() -> None:
    """End it, if there is one."""
    while _kept:
        _kept.pop().sandbox.__exit__(None, None, None)


atexit.register(close_sandbox)
