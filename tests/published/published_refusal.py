"""What an import says of a file that it cannot use."""

from pathlib import Path

import pytest

from minidalle.checkpoint import CheckpointError
from minidalle.published import import_weights


def refusal(folder: Path, error: type[Exception] = CheckpointError, **options: object) -> str:
    """What the import says; it must leave nothing that passes for a run."""
    out = folder.parent / "out"
    with pytest.raises(error) as said:
        import_weights(str(folder), out, **options)
    assert not (out / "run.json").exists()
    return str(said.value)
