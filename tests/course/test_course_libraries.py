"""Whose code it is: a library's is not looked into, wherever it is installed, also for one user alone."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from minidalle.course.code_names import is_theirs
from minidalle.course.start import PACKAGE

SAYS = """
    import installed_for_one_user
    from minidalle.course.code_names import is_theirs, reached

    def mine():
        return installed_for_one_user.first()

    assert is_theirs(mine)
    assert not is_theirs(installed_for_one_user.first)
    assert "second" not in {name.dotted for name, _ in reached(mine)}
"""


def test_what_is_installed_outside_of_pythons_folders_is_no_students(tmp_path: Path) -> None:
    """With `pip install --user`, or on a path: looking into all of torch took minutes, and the answer's time."""
    place = tmp_path / "lib" / "site-packages"
    place.mkdir(parents=True)
    (place / "installed_for_one_user.py").write_text("def first():\n    return second()\ndef second():\n    return 1\n")
    begin = f"import sys; sys.path.append({str(place)!r})\n"
    done = subprocess.run([sys.executable, "-c", begin + textwrap.dedent(SAYS)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_folder_that_begins_with_the_packages_name_is_a_students() -> None:
    beside: dict[str, Any] = {}
    exec(compile("def mine():\n    return 1\n", f"{PACKAGE}-course/lesson.py", "exec"), beside)
    within: dict[str, Any] = {}
    exec(compile("def ours():\n    return 1\n", f"{PACKAGE}/lesson.py", "exec"), within)
    assert is_theirs(beside["mine"])
    assert not is_theirs(within["ours"])
