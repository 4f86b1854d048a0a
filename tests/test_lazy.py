"""Public names: what an editor offers, what a type checker is told, and what is there are the same."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import minidalle

PACKAGE = Path(minidalle.__file__).parent
LAZY = [file for file in sorted(PACKAGE.glob("**/__init__.py")) if " = lazy(" in file.read_text(encoding="utf-8")]

USER = """
import minidalle
from minidalle.bart import DecoderCache, attend
from minidalle.clip import Judge
from minidalle.data import CaptionedPictures
from minidalle.tokenization import normalize_caption

pipeline: minidalle.TextToImage = minidalle.load(device="auto")
reveal_type(pipeline.draw(["cat"], [0]))
minidalle.SamplingConfig(top_p="many")
minidalle.nonsense
"""


def exports(source: str) -> dict[str, str]:
    """Name → module of `from module import name as name` under `if TYPE_CHECKING`."""
    checked = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    imports = [node for node in checked[0].body if isinstance(node, ast.ImportFrom)]
    return {name.name: node.module or "" for node in imports for name in node.names if name.asname == name.name}


@pytest.mark.parametrize("file", LAZY, ids=lambda file: file.parent.name)
def test_a_type_checker_is_told_of_every_name(file: Path) -> None:
    package = importlib.import_module(".".join(file.parent.relative_to(PACKAGE.parent).parts))
    told = exports(file.read_text(encoding="utf-8"))
    assert sorted(told) == package.__all__
    for name, home in told.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)
    assert {*package.__all__} <= {*dir(package)}


def test_an_editor_offers_what_is_there() -> None:
    assert {"__version__", "BartConfig", "CheckpointError", "InvalidValue", "VQGANConfig", "load"} <= {*dir(minidalle)}
    with pytest.raises(AttributeError, match="module 'minidalle' has no attribute 'nonsense'"):
        minidalle.nonsense  # noqa: B018  # type: ignore[attr-defined]


@pytest.mark.slow
def test_users_code_is_checked_strictly(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "user.py"]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE.parent)}
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout
    lines = [line.split(": ", 1)[1] for line in said.splitlines() if line.startswith("user.py:")]
    assert [line.split("  [")[0] for line in lines] == [
        'note: Revealed type is "torch._tensor.Tensor"',
        'error: Argument "top_p" to "SamplingConfig" has incompatible type "str"; expected "float"',
        'error: Module has no attribute "nonsense"',
    ], said
