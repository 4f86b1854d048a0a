"""Whether the bundled files are what they were when they were committed."""

import hashlib
from pathlib import Path

CHECKSUMS = Path(__file__).with_name("checksums.txt")


def wrong_checksums(folder: Path = CHECKSUMS.parent, checksums: Path = CHECKSUMS) -> dict[str, str]:
    """Files that are not what a list of checksums says.

    Args:
        folder: where the files are.
        checksums: lines `SHA-256  name`, as `sha256sum` writes and checks them.

    Returns:
        The files' names, each with what is wrong; none if all is well.
    """
    wrong = {}
    for line in checksums.read_text(encoding="utf-8").splitlines():
        expected, name = line.split()
        try:
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                wrong[name] = "has changed"
        except OSError as error:
            wrong[name] = f"cannot be read ({error.strerror or error})"
    return wrong
