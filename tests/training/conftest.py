"""What the tests of encoding share: pictures in tar files, and a run that can encode them."""

from collections.abc import Iterator
from pathlib import Path

import encoding_world as world
import pytest

from minidalle.data import DataConfig


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataConfig]:
    """Pictures in tar files; what is rendered of them is kept out of a cache that outlives the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDALLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield world.write_source(tmp_path_factory.mktemp("source") / "tars")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tokenizer and a VQGAN."""
    folder = tmp_path_factory.mktemp("run")
    world.write_run(folder)
    return folder
