"""What all tests share: a cache of rendered pictures that is theirs, and one thread each."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/graded --submission DIR` grades a folder of notebooks."""
    parser.addoption("--submission", type=Path, help="tests/graded: the folder, notebook or Python file to grade")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[None]:
    """Pictures are rendered once per session into a folder of the tests' own, which subprocesses and workers share.

    `MINIDALLE_CACHE` in the environment is left as it is: rendering is then done once for all sessions.
    """
    given = os.environ.get("MINIDALLE_CACHE")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if hasattr(request.config, "workerinput") else base  # the workers' folders lie in one
    os.environ["MINIDALLE_CACHE"] = given or str(base / "cache")
    yield
    if given is None:
        del os.environ["MINIDALLE_CACHE"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A rank has one thread, and small sums are faster with it: two wait for each other on busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
