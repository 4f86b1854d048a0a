"""pyproject.toml says all about the package but one thing: a wheel has the lessons inside, which lie beside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithLessons(build_py):
    """Copy lessons/ and nbgrader_config.py into the wheel; an editable installation uses them where they are."""

    def run(self) -> None:
        package = Path(self.build_lib) / "minidalle"
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)  # what an earlier build left there
        super().run()
        if not self.editable_mode and (HERE / "lessons").is_dir():
            inside = package / "lessons"
            shutil.copytree(HERE / "lessons", inside, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            shutil.copy(HERE / "nbgrader_config.py", inside.parent)  # demo-class makes a course with it


setup(cmdclass={"build_py": BuildWithLessons})
