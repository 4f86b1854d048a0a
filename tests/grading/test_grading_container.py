"""Where there is no bubblewrap: containers if an engine is there, else a refusal.

The engine here is a stand-in that runs the command as it is: the command line and the talk are ours, the rest is the
engine's.
"""

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from minidalle.cli.checks import WEAK, check_sandbox
from minidalle.cli.grading import grade_class
from minidalle.course.notebook_code import Asked, Cell
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.grading import confinement, container
from minidalle.grading.judge import grade_cells
from minidalle.grading.limits import Limits
from minidalle.grading.released import read_release
from minidalle.grading.sandbox import Sandbox
from minidalle.grading.warm_sandbox import close_sandbox, warm_sandbox

grade_everybody = partial(grade_class, None, "*", 1, "cpu", None, force=False, draw_secret=True)
CELLS = [
    Cell("code cell 1", "def text_to_bytes(text):\n    print('hello')\n    return list(text.encode())"),
    Cell("code cell 2", "import os\ndef merge_pair(word, pair):\n    os._exit(3)"),
]
ASKED = [Asked("tokenization.text_to_bytes", "text_to_bytes"), Asked("tokenization.merge_pair", "merge_pair")]

ENGINE = """#!{python}
import os, sys
words = sys.argv[1:]
if words[0] == "info" or words[:2] == ["image", "inspect"]:
    sys.exit(0)
if words[0] == "kill":
    sys.exit(0)
if {broken}:
    sys.exit(125)
volume = words[words.index("--volume") + 1].split(":")[0]
os.environ["PYTHONPATH"] = os.pathsep.join([volume, *{libraries!r}])
os.execv({python!r}, [{python!r}, *words[words.index("python") + 1 :]])
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    broken = getattr(request, "param", False)
    file = tmp_path / "docker"
    file.write_text(ENGINE.format(python=sys.executable, libraries=confinement._libraries(), broken=broken))
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    container.engine.cache_clear()
    yield
    container.engine.cache_clear()


def test_each_answer_has_a_container_of_its_own(engine: None) -> None:
    with container.Containers() as sandbox:
        right, ended = grade_cells(CELLS, ASKED, EXERCISES, sandbox)
    assert right.report.passed
    assert right.report.notes[0].startswith("It printed")
    assert (ended.report.points, ended.ungraded) == (0, "")
    assert "ended Python" in ended.report.lines[0].detail


@pytest.mark.parametrize("engine", [True], indirect=True)
def test_an_engine_that_starts_nothing_is_no_fault_of_an_answer(engine: None) -> None:
    with container.Containers() as sandbox:
        for verdict in grade_cells(CELLS, ASKED, EXERCISES, sandbox):
            assert "docker starts no container" in verdict.ungraded


def test_a_container_has_no_network_no_rights_and_limits(engine: None) -> None:
    words = container.in_container(Path("/somewhere"), "one", "cpu", Limits(memory=100, processes=7)).command
    options = dict(pairwise(words))
    assert options["--network"] == "none"
    assert options["--cap-drop"] == "ALL"
    assert options["--user"] == "65534:65534"
    assert options["--pids-limit"] == "7"
    assert options["--memory"] == "1124m"
    assert options["--volume"] == "/somewhere:/course:ro"
    assert "--read-only" in words
    assert "--gpus" not in words
    assert "--gpus" in container.in_container(Path("/somewhere"), "one", "cuda", Limits()).command


def test_the_image_holds_what_the_package_requires_and_no_answer() -> None:
    words = container.dockerfile()
    assert words.startswith(f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim\n")
    assert "torch==" in words
    assert "+" not in words
    assert "minidalle" not in words


def test_an_engine_that_hangs_is_passed_over(engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(tmp_path / "docker", tmp_path / "podman")
    (tmp_path / "docker").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)")
    monkeypatch.setattr(container, "ANSWERS", 2)
    assert container.engine() == "podman"
    (tmp_path / "podman").write_text("no program")
    container.engine.cache_clear()
    assert container.engine() == ""


def test_windows_is_refused_at_once_also_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for grade in (lambda: Sandbox(unsafe=True), container.Containers, lambda: grade_everybody(unsafe=True)):
        with pytest.raises(InvalidValue, match="system='Windows': expected Linux, macOS, or WSL 2"):
            grade()
    (found,) = check_sandbox()
    assert (found.mark, found.mend) == (WEAK, "grade on Linux, macOS, or WSL 2")


def test_without_any_sandbox_nothing_is_graded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    confinement.why_not.cache_clear()
    container.engine.cache_clear()
    with pytest.raises(InvalidValue, match=r"bubblewrap is missing: apt install bubblewrap.* --unsafe runs them with"):
        container.open_sandbox()
    with pytest.raises(InvalidValue, match="bubblewrap is missing"):
        container.require_any_sandbox()
    with container.open_sandbox(unsafe=True) as sandbox:
        assert sandbox.unsafe
    monkeypatch.undo()
    confinement.why_not.cache_clear()
    container.engine.cache_clear()


def test_grading_takes_containers_where_bubblewrap_does_not_work(engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "why_not", lambda: "none here")
    container.require_any_sandbox()
    close_sandbox()
    release = read_release(Path(__file__).parents[2], "01-tokenization")
    try:
        sandbox = warm_sandbox(release)
        assert type(sandbox) is container.Containers
        (right, _) = grade_cells(CELLS, ASKED, EXERCISES, sandbox)
        assert right.report.passed
    finally:
        close_sandbox()


def test_where_bubblewrap_works_it_is_taken(monkeypatch: pytest.MonkeyPatch, engine: None) -> None:
    monkeypatch.setattr(container, "why_not", lambda: "")
    monkeypatch.setattr("minidalle.grading.sandbox.require_sandbox", lambda: None)
    with container.open_sandbox() as sandbox:
        assert type(sandbox) is Sandbox
    monkeypatch.setattr(container, "why_not", lambda: "none here")
    with container.open_sandbox() as sandbox:
        assert type(sandbox) is container.Containers
