"""Drawings rendered once: all cores draw them, a file in the cache keeps them, memory-mapped when read."""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from minidalle.checkpoint import CheckpointError, atomic_write, load_json, save_json
from minidalle.data.pictures import Skipped
from minidalle.data.render import Drawing, render_some

Progress = Callable[[int, int], None]  # done, total
Rendered = tuple[np.ndarray, list[Skipped]]

CHUNK = 128  # drawings that a worker takes at a time


def cache_folder() -> Path:
    """Where rendered pictures are kept: `MINIDALLE_CACHE`, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("MINIDALLE_CACHE") or platformdirs.user_cache_dir("minidalle"))


def cached_pictures(name: str, drawings: Sequence[Drawing], size: int, progress: Progress | None = None) -> Rendered:
    """Render drawings, or read them from the cache if they were rendered before.

    Two processes may do this at once, and one may be killed: a file is there whole or not at all. One that is
    nevertheless not what it should be is rendered again.

    Args:
        name: names the content of `drawings`, and so the cache's file.
        drawings: R pairs of name and SVG.
        size: S, the side of the pictures in pixels.
        progress: called with (done, total) while drawings are rendered; not called if they need not be.

    Returns:
        uint8 [R', S, S, 3], read-only, of the drawings that can be drawn; and the others, with the reason.
    """
    path = cache_folder() / f"{name}-{size}px.npy"
    cached = _read(path, len(drawings), size)
    if cached is not None:
        return cached
    pictures, skipped = render_all(drawings, size, progress)
    try:
        save_json(path.with_suffix(".json"), skipped)
        atomic_write(path, lambda draft: _save(draft, pictures))
    except CheckpointError as error:
        warnings.warn(f"pictures will be rendered each time: {error}; set MINIDALLE_CACHE", stacklevel=2)
    return _read(path, len(drawings), size) or (pictures, skipped)


def render_all(drawings: Sequence[Drawing], size: int, progress: Progress | None = None) -> Rendered:
    """Render drawings on all cores; those that cannot be drawn are listed, not raised."""
    chunks = [drawings[start : start + CHUNK] for start in range(0, len(drawings), CHUNK)]
    pictures = np.empty((len(drawings), size, size, 3), np.uint8)
    skipped: list[Skipped] = []
    done = kept = 0
    for chunk in _on_all_cores(chunks, size):
        for result in chunk:
            done += 1
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                pictures[kept] = result
                kept += 1
        if progress is not None:
            progress(done, len(drawings))
    return pictures[:kept], skipped


def _on_all_cores(chunks: list[Sequence[Drawing]], size: int) -> Iterator[list[np.ndarray | Skipped]]:
    """Render chunks in order, in as many processes as pay: they start in about half a second."""
    render = partial(render_some, size)
    workers = min(os.cpu_count() or 1, len(chunks) // 4)
    done = 0
    if workers > 1 and not multiprocessing.current_process().daemon:  # a daemon may have no children
        try:
            with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
                with _blank_main():
                    results = pool.map(render, chunks)  # starts the workers
                for result in results:
                    yield result
                    done += 1
                return
        except BrokenProcessPool:  # out of memory, perhaps: one process may still do it
            pass
    yield from map(render, chunks[done:])


@contextmanager
def _blank_main() -> Iterator[None]:
    """Processes that are started in this block do not run the main script again, which may have no `__main__` guard."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _read(path: Path, rows: int, size: int) -> Rendered | None:
    """What the cache holds, unless it is missing, cut off or of another shape."""
    try:
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
        skipped = [Skipped(*row) for row in load_json(path.with_suffix(".json"))]
    except (OSError, EOFError, ValueError, TypeError, CheckpointError):
        return None
    whole = pictures.shape == (rows - len(skipped), size, size, 3) and pictures.dtype == np.uint8
    return (pictures, skipped) if whole else None


def _save(path: Path, pictures: np.ndarray) -> None:
    with open(path, "wb") as file:  # np.save would add .npy to the draft's name
        np.save(file, pictures)
