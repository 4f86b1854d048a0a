from importlib.resources import files

import pyarrow.parquet
import pytest

from minidalle.tokenization import Tokenizer, TokenizerConfig


@pytest.fixture(scope="session")
def captions() -> list[str]:
    """Every caption of the bundled pictures."""
    with (files("minidalle.data") / "emoji.parquet").open("rb") as parquet:
        return pyarrow.parquet.read_table(parquet, columns=["caption"])["caption"].to_pylist()


@pytest.fixture(scope="session")
def tokenizer(captions: list[str]) -> Tokenizer:
    """A tokenizer trained on the bundled captions."""
    return Tokenizer.train(captions, TokenizerConfig(vocab_size=1024, text_length=16))
