"""Lessons run at home nowhere, quickly, and with one thread each."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINIDALLE_QUICK", "1")  # lessons take fewer steps where they train
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests run beside: threads that wait for each other would spin
