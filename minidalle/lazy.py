"""Public names that are imported when they are first used, so that `import minidalle` costs nothing."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the `__getattr__`, `__dir__` and `__all__` of a package whose names live in its submodules.

    A type checker sees none of them: for it, the package imports each name as itself where `TYPE_CHECKING` is true.

    Args:
        package: the package's `__name__`.
        homes: public name → the submodule that defines it, relative to the package.

    Returns:
        `__getattr__`, `__dir__` and `__all__` for the package's `__init__` (PEP 562).
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *homes}), sorted(homes)
