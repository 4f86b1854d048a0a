"""With a submission, only the submission is graded."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--submission") is not None:
        left_out = [item for item in items if not item.name.startswith("test_answer[")]
        items[:] = [item for item in items if item.name.startswith("test_answer[")]
        config.hook.pytest_deselected(items=left_out)
