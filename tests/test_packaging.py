"""What is said about the package in several places is said alike."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from minidalle import __version__

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
REQUIRED = [
    *PROJECT["dependencies"],
    *(name for extra in PROJECT["optional-dependencies"].values() for name in extra),
]


def conda_pip_lines(text: str) -> list[str]:
    """What an environment.yml asks pip for."""
    return next(entry["pip"] for entry in yaml.safe_load(text)["dependencies"] if isinstance(entry, dict))


def drift(environment: str) -> set[str]:
    """Requirements that only one of environment.yml and pyproject.toml has."""
    asked = {line for line in conda_pip_lines(environment) if not line.startswith("--")}
    return asked ^ set(REQUIRED)


def pins(text: str) -> dict[str, str]:
    """Package → version of a constraints file."""
    return {name.lower().replace("_", "-"): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)$", text)}


def test_environment_is_pyproject() -> None:
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert not drift(environment)
    assert drift(environment.replace("numpy>=", "numpy<"))  # the check can fail
    python = next(entry for entry in yaml.safe_load(environment)["dependencies"] if str(entry).startswith("python "))
    assert python == f"python {PROJECT['requires-python']}"


@pytest.mark.parametrize("requirement", REQUIRED)
def test_constraints_pin_what_is_required(requirement: str) -> None:
    wanted = Requirement(requirement)
    pinned = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert wanted.name.lower() in pinned
    assert wanted.specifier.contains(pinned[wanted.name.lower()])


def test_constraints_name_plain_versions() -> None:
    """A local version such as 2.13.0+cpu would fit one machine only."""
    assert not [
        version for version in pins((ROOT / "constraints.txt").read_text(encoding="utf-8")).values() if "+" in version
    ]


def test_who_cites_it_cites_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"]) == (__version__, PROJECT["license"])


def test_the_wheel_carries_what_is_not_python() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["minidalle"]
    files = [path.relative_to(ROOT / "minidalle") for path in (ROOT / "minidalle").rglob("*") if path.is_file()]
    others = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in others} >= {".parquet", ".csv", ".html"}
    left_out = [path for path in others if not any(path.match(pattern.removeprefix("**/")) for pattern in patterns)]
    assert not left_out
