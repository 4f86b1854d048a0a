"""pyproject.toml says all about the package but one thing: a wheel has the lessons, which lie beside it, inside."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithLessons(build_py):
    """Copy lessons/ to minidalle/lessons/ in the wheel; an editable installation uses them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode and (HERE / "lessons").is_dir():
            inside = Path(self.build_lib) / "minidalle" / "lessons"
            shutil.rmtree(inside, ignore_errors=True)  # what an earlier build left there
            shutil.copytree(HERE / "lessons", inside, ignore=shutil.ignore_patterns(".*", "__pycache__"))


setup(cmdclass={"build_py": BuildWithLessons})
