"""What all tests share: a cache of rendered pictures that is theirs, and one thread each."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


def pytest_configure() -> None:
    """Scripts beside this Python are found, as in an activated environment: nbgrader starts `alembic` by its name.

    Programs that tests start hear Ctrl-C, also where a shell started the tests in the background, which ignore it.

    A rank has one thread, and small sums are faster with it: two wait for each other on busy cores. It is set before
    any fixture: two threads add in another order, and what a fixture trained is compared with a test's bit by bit.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


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
    """A test may ask for more threads; the next has one again."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def cuda(request: pytest.FixtureRequest) -> torch.device:
    """The GPU of tests marked `gpu`, in full float32: no product of matrices is rounded to TF32's ten bits."""
    assert request.node.get_closest_marker("gpu"), "mark the test `gpu`"
    assert not torch.backends.cuda.matmul.allow_tf32, "torch multiplies in TF32 only if it is asked to"
    torch.backends.cudnn.allow_tf32 = False  # convolutions do without being asked
    return torch.device("cuda")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs a GPU is skipped where there is none, and says so."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
