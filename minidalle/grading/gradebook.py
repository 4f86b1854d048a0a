"""nbgrader's gradebook, opened so that what is missing is said in words."""

import os
import sys
from pathlib import Path

from nbgrader.api import Gradebook
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from minidalle.course.building.release import COURSE
from minidalle.errors import InvalidValue

DEFAULT = "default_course"  # what nbgrader's own parts take where nobody names a course
DRIVER = 'a database whose driver is installed, as by pip install "psycopg[binary]" for postgresql:'


def open_gradebook(db_url: str, course: str = DEFAULT) -> Gradebook:
    """Open the gradebook; it is made if it is not there. Use it in a `with`, or close it.

    Raises:
        InvalidValue: it is no address of a database, its driver is missing, or nobody answers there.
    """
    _find_scripts()
    try:
        return Gradebook(db_url, course)
    except (ImportError, NoSuchModuleError, ArgumentError) as error:
        raise InvalidValue(f"db_url={_shown(db_url)!r}: expected {DRIVER} {error}") from None
    except OperationalError as error:
        said = " ".join(str(error.orig).split())
        raise InvalidValue(f"db_url={_shown(db_url)!r}: expected a database that answers: {said}") from None


def prepare_gradebook(db_url: str) -> None:
    """Make what several processes would otherwise make at once, and clash: the file, and its courses."""
    for course in (DEFAULT, COURSE):
        open_gradebook(db_url, course).close()


def _find_scripts() -> None:
    """nbgrader starts `alembic` by its name, which is beside this Python, also where no environment is activated."""
    scripts, known = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    if scripts not in known.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join(filter(None, [scripts, known]))


def _shown(db_url: str) -> str:
    try:
        return make_url(db_url).render_as_string(hide_password=True)
    except ArgumentError:
        return "…"  # it may hold a password
