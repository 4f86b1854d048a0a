"""The checks of `minidalle doctor`: each looks at one thing, and says what it found and what would mend it.

Nothing but Python's own library is imported before a check runs, so that one is there to say what is missing.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GIGABYTE = 1e9
MEMORY = 2.0  # gigabytes that a run of the `cpu` preset takes
CACHE_DISK, RUN_DISK = 0.2, 1.0  # gigabytes: the rendered pictures, and a run with its checkpoints

EXTRAS = {"course": "the lessons", "dev": "the tests"}

MEND_SANDBOX = "apt install bubblewrap, on Linux; elsewhere docker or podman"

GOOD, WEAK, BAD = "✓", "!", "✗"


class Finding(NamedTuple):
    """What a check found: how good that is, and, if it is not good, what to do."""

    mark: str
    name: str
    words: str
    mend: str = ""


Check = Callable[[], Iterator[Finding]]


def check_python() -> Iterator[Finding]:
    """The version of Python against what the package says it needs."""
    from packaging.specifiers import SpecifierSet

    needed = SpecifierSet(metadata.metadata("minidalle")["Requires-Python"])
    version = ".".join(map(str, sys.version_info[:3]))
    if needed.contains(version):
        words = f"{version} on {platform.system()} {platform.machine()}, minidalle {_version('minidalle')}"
        yield Finding(GOOD, "python", words)
    else:
        mend = "make a new environment with one of these: python3.12 -m venv .venv"
        yield Finding(BAD, "python", f"{version}, needed: {needed}", mend)


def check_packages() -> Iterator[Finding]:
    """The packages that the package asks for, and those of its extras."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires("minidalle") or []]
    for extra in ("", *EXTRAS):
        ours = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": extra})]
        own = [need for need in ours if bool(extra) == ("extra" in str(need.marker))]
        wrong = [f"{need.name} {_version(need.name)} (needed: {need.specifier})" for need in own if not _fits(need)]
        name = f"for {EXTRAS[extra]}" if extra else "packages"
        if not wrong:
            yield Finding(GOOD, name, ", ".join(f"{need.name} {_version(need.name)}" for need in own))
        else:
            yield Finding(WEAK if extra else BAD, name, ", ".join(wrong), install_command(extra))


def check_torch() -> Iterator[Finding]:
    """What the models run on."""
    import torch

    from minidalle.runtime import why_no_cuda

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    words = f"CPU with {cores} {'core' if cores == 1 else 'cores'}, torch uses {threads} of them"
    if threads > cores:
        words = f"CPU with {cores} cores, but torch uses {threads} threads"
        yield Finding(WEAK, "device", words, f"set OMP_NUM_THREADS={cores}")
    else:
        yield Finding(GOOD, "device", words)
    if not torch.cuda.is_available():
        yield Finding(GOOD, "cuda", f"none: {why_no_cuda()}")
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(number)
        words = f"{card.name}, {card.total_memory / GIGABYTE:.0f} GB"
        if card.major >= 8:
            yield Finding(GOOD, f"cuda:{number}", words)
        else:
            mend = "train vqgan and train bart with --set precision=fp32"
            yield Finding(WEAK, f"cuda:{number}", f"{words}, without bf16 of its own: training in it is slow", mend)
    if torch.backends.mps.is_available():
        yield Finding(GOOD, "mps", "Apple GPU")


def check_memory() -> Iterator[Finding]:
    """Memory that is free, against what the `cpu` preset takes."""
    free = free_memory()
    if free is None:
        yield Finding(GOOD, "memory", f"unknown here; a run needs {MEMORY:g} GB")
    elif free >= MEMORY:
        yield Finding(GOOD, "memory", f"{free:.1f} GB free")
    else:
        mend = "close other programs, or train with one process: minidalle run --ranks 1"
        yield Finding(WEAK, "memory", f"{free:.1f} GB free, a run needs {MEMORY:g} GB", mend)


def check_disk() -> Iterator[Finding]:
    """Room for the rendered pictures and for runs."""
    from minidalle.data.cache import cache_folder

    for name, folder, needed in (
        ("cache disk", cache_folder(), CACHE_DISK),
        ("runs disk", Path("runs"), RUN_DISK),
    ):
        free = shutil.disk_usage(_existing(folder)).free / GIGABYTE
        if free >= needed:
            yield Finding(GOOD, name, f"{free:.1f} GB free")
        else:
            option = "set MINIDALLE_CACHE to" if name == "cache disk" else "give --out"
            mend = f"make room, or {option} a folder on another disk"
            yield Finding(BAD, name, f"{free:.1f} GB free at {folder}, {needed:g} GB needed", mend)


def check_cache() -> Iterator[Finding]:
    """The cache of rendered pictures: whether it can be written, and what is in it."""
    from minidalle.data.cache import cache_folder

    folder = cache_folder()
    try:
        if folder.exists():
            tempfile.TemporaryFile(dir=folder).close()
        elif not os.access(_existing(folder), os.W_OK) or not _existing(folder).is_dir():
            raise PermissionError(f"{_existing(folder)} cannot be written")
    except OSError as error:
        words = f"{folder}: {error.strerror or error}"
        yield Finding(BAD, "cache", words, "set MINIDALLE_CACHE to a folder that you may write")
        return
    files = sorted(folder.glob("*.npy"))
    reasons = {file: _damage(file) for file in files}
    for file, reason in reasons.items():
        if reason:
            yield Finding(BAD, "cache", f"{file} is damaged: {reason}", f"delete it: {file}")
    size = sum(file.stat().st_size for file in files) / 1e6
    whole = sum(not reason for reason in reasons.values())
    words = f"{folder}, {whole} {'file' if whole == 1 else 'files'} of rendered pictures, {size:.0f} MB"
    yield Finding(GOOD, "cache", words if files else f"{folder}, empty: pictures are rendered on first use")


def check_data() -> Iterator[Finding]:
    """The bundled data against its checksums."""
    from minidalle.data.checksums import wrong_checksums

    wrong = wrong_checksums()
    mend = "restore the files: git checkout -- minidalle/data, or install minidalle again"
    if wrong:
        yield Finding(BAD, "data", "; ".join(f"{name} {trouble}" for name, trouble in wrong.items()), mend)
    else:
        yield Finding(GOOD, "data", "bundled files are as they should be")


def check_drawing() -> Iterator[Finding]:
    """Whether resvg draws an emoji."""
    import pyarrow.parquet as pq

    from minidalle.data.emoji import PARQUET
    from minidalle.data.render import render_svg

    row = next(pq.ParquetFile(PARQUET).iter_batches(1, columns=["caption", "svg"])).to_pylist()[0]
    picture = render_svg(row["svg"], 32, row["caption"])
    if len(set(picture.reshape(-1, 3).sum(1).tolist())) > 1:
        yield Finding(GOOD, "drawing", f"resvg draws “{row['caption']}”")
    else:
        mend = f"{sys.executable} -m pip install --force-reinstall resvg-py"
        yield Finding(BAD, "drawing", f"resvg draws “{row['caption']}” as one flat color", mend)


def check_sandbox() -> Iterator[Finding]:
    """What strangers' code can be graded in: instructors need it, nobody else."""
    from minidalle.grading.confinement import SYSTEMS, why_not
    from minidalle.grading.container import engine

    if sys.platform == "win32":
        yield Finding(WEAK, "sandbox", "a class cannot be graded on Windows", f"grade on {SYSTEMS}")
    elif not (reason := why_not()):
        yield Finding(GOOD, "sandbox", "bubblewrap: answers of a class can be graded here")
    elif found := engine():
        yield Finding(GOOD, "sandbox", f"containers of {found}, some seconds for each exercise: {reason}")
    else:
        yield Finding(WEAK, "sandbox", f"a class cannot be graded here: {reason.partition(':')[0]}", MEND_SANDBOX)


CHECKS: tuple[Check, ...] = (
    check_python,
    check_packages,
    check_torch,
    check_memory,
    check_disk,
    check_cache,
    check_data,
    check_drawing,
    check_sandbox,
)


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Memory that a new program can have, in gigabytes; None where the system does not tell."""
    try:
        lines = meminfo.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / GIGABYTE for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def _version(package: str) -> str:
    try:
        return metadata.version(package) or "of no version"
    except metadata.PackageNotFoundError:
        return "missing"


def _fits(need: "Requirement") -> bool:
    version = _version(need.name)
    return version[0].isdigit() and need.specifier.contains(version, prereleases=True)


def _damage(file: Path) -> str:
    """Why a cached file cannot be read; empty if it can."""
    import numpy as np

    from minidalle.checkpoint import CheckpointError, load_json

    try:
        np.load(file, mmap_mode="r", allow_pickle=False)
        load_json(file.with_suffix(".json"))
    except (OSError, EOFError, ValueError, CheckpointError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def install_command(extra: str = "") -> str:
    """The command that installs the package again, from its source if that is where this file lies."""
    source = Path(__file__).parents[2]
    what = f'-e "{source}' if (source / "pyproject.toml").exists() else '"minidalle'
    return f'{sys.executable} -m pip install --upgrade {what}{f"[{extra}]" if extra else ""}"'
