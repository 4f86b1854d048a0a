"""What the tests of attacks share: the attack is tried without a sandbox and in one, and nothing of it stays."""

from collections.abc import Iterator

import pytest
from grading_class import assert_next_is_right, assert_only_its_own

from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[tuple[Sandbox, Sandbox]]:
    """Without, and with."""
    limits = Limits(seconds=3.0, wall=8.0)
    with Sandbox(unsafe=True, limits=limits) as unsafe, Sandbox(limits=limits) as safe:
        yield unsafe, safe


@pytest.fixture
def nothing_stays(sandboxes: tuple[Sandbox, Sandbox]) -> Iterator[None]:
    """After each attack: no process, and the next answer is graded as ever."""
    yield
    assert_next_is_right(sandboxes[1])
    assert_only_its_own(sandboxes[1])
