"""Weights from the Hugging Face Hub: only the files that are needed, resumed after a break, compared with checksums."""

import hashlib
import importlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from minidalle.errors import InvalidValue

PIECE = 1 << 24  # bytes hashed at a time


def fetch(source: str, choose: Callable[[Collection[str]], Collection[str]], needed: str) -> Path:
    """The folder of a Hub repository on this machine, with the chosen files in it.

    Args:
        source: `owner/name`, or `owner/name@revision`.
        choose: names of all files of the repository → those to download.
        needed: in words, what files a folder must have, for who has to place them there by hand.

    Raises:
        InvalidValue: there is no such repository, no network and no copy, or a file is not what the Hub says it is.
    """
    library, (name, _, revision) = _library(source), source.partition("@")
    try:
        info = library.HfApi().model_info(name, revision=revision or None, files_metadata=True, timeout=20)
    except Exception as error:  # without network there are errors of a dozen kinds
        return _cached(library, source, needed, error)
    try:
        files = sorted(choose([file.rfilename for file in info.siblings]))
        folder = Path(library.snapshot_download(name, revision=info.sha, allow_patterns=files))
    except InvalidValue:
        raise
    except Exception as error:
        raise InvalidValue(f"{source}: cannot be downloaded: {_said(error)}. The same command goes on") from error
    sums = {file.rfilename: getattr(file.lfs, "sha256", None) for file in info.siblings if file.lfs}
    for file in files:
        if sums.get(file) and sha256(folder / file) != sums[file]:
            raise InvalidValue(f"{folder / file}: its SHA-256 is not the Hub's, {sums[file]}: delete it, and try again")
    return folder


def _cached(library: Any, source: str, needed: str, trouble: Exception) -> Path:
    """What an earlier download left on this machine."""
    name, _, revision = source.partition("@")
    try:
        return Path(library.snapshot_download(name, revision=revision or None, local_files_only=True))
    except Exception as error:
        page = f"https://huggingface.co/{name}/tree/{revision or 'main'}"
        raise InvalidValue(
            f"{source}: there is no such folder here, no copy on this machine, and the Hub cannot be asked "
            f"({_said(trouble)}). Where there is a network, download from {page} {needed}; "
            "put them into one folder, and give that folder instead"
        ) from error


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _library(source: str) -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise InvalidValue(
            f"{source}: there is no such folder here, and the Hub needs one more package: pip install huggingface_hub"
        ) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"
