"""Where a command writes: what stands in the way there is said before anything begins."""

from pathlib import Path

from minidalle.errors import require


def require_folder(place: Path) -> None:
    """Refuse a folder to write to whose name, or the name of one that it would lie in, is a file's.

    Raises:
        InvalidValue: it is.
    """
    file = next((part for part in (place, *place.parents) if part.is_file()), None)
    require(file is None, "--out", str(file), "a folder, or a name that is free")
