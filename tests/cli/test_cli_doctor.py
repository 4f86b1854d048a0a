"""The doctor finds what is wrong, says what mends it, and survives whatever is missing."""

import hashlib
import io
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from minidalle.cli import checks, doctor
from minidalle.cli.app import app
from minidalle.cli.checks import BAD, GOOD, WEAK, Check, Finding
from minidalle.cli.doctor import examine, findings_of
from minidalle.data import cache as cache_module
from minidalle.data import render
from minidalle.data.checksums import CHECKSUMS, wrong_checksums


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINIDALLE_CACHE", str(folder))
    return folder


def only(check: Check) -> Finding:
    (finding,) = findings_of(check)
    assert bool(finding.mend) == (finding.mark != GOOD)  # every trouble comes with its mend
    return finding


def marks(*findings: Finding) -> list[tuple[str, str]]:
    return [(finding.mark, finding.name) for finding in findings]


def fine() -> Iterator[Finding]:
    yield Finding(GOOD, "legs", "two")


def weak() -> Iterator[Finding]:
    yield Finding(WEAK, "eyes", "near-sighted", "wear glasses")


def check_of_teeth() -> Iterator[Finding]:
    yield Finding(BAD, "tooth 1", "aches", "pull it")
    raise RuntimeError("no light\nand more lines")


def test_one_check_that_breaks_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (check_of_teeth, weak, fine))
    assert examine() == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "✗ tooth 1   aches"
    assert [line.split()[1] for line in said.splitlines() if line[0] in "✓!✗"] == ["tooth", "of", "eyes", "legs"]
    assert "RuntimeError: no light\n" in said
    assert "→ pull it" in said
    assert said.endswith("2 to mend\n")


def test_what_is_only_worth_knowing_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (weak, fine))
    assert examine() == 0
    said = capsys.readouterr().out
    assert "→ wear glasses" in said
    assert said.endswith("all is well\n")


def test_the_command_ends_with_the_doctors_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, code in ((fine, 0), (check_of_teeth, 1)):
        monkeypatch.setattr(doctor, "CHECKS", (found,))
        assert CliRunner().invoke(app, ["doctor"]).exit_code == code


def test_long_lines_are_wrapped_but_a_mend_can_be_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wordy() -> Iterator[Finding]:
        yield Finding(WEAK, "x", "word " * 50, "mend " * 50)

    monkeypatch.setattr(doctor, "CHECKS", (wordy,))
    monkeypatch.setenv("COLUMNS", "80")
    examine()
    *words, mend, _ = capsys.readouterr().out.splitlines()
    assert len(words) > 2
    assert max(map(len, words)) <= 80
    assert all(line.startswith("     word") for line in words[1:])
    assert mend.count("mend") == 50


def test_a_screen_without_the_marks_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(doctor, "CHECKS", (check_of_teeth, fine))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii", write_through=True))
    examine()
    said = screen.getvalue().decode("ascii")
    assert "x tooth 1" in said
    assert "-> pull it" in said
    assert "+ legs" in said


def test_without_any_package_everything_is_still_looked_at(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in 'torch numpy pyarrow resvg_py safetensors PIL packaging platformdirs'.split():\n"
        "    sys.modules[name] = None\n"
        "from minidalle.cli.doctor import examine\n"
        "sys.exit(examine())"
    )
    home = {"PYTHONIOENCODING": "utf-8", "MINIDALLE_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **home}, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (1, "")
    for name in ("python", "packages", "torch", "memory", "disk", "cache", "data", "drawing"):
        assert f" {name} " in done.stdout
    assert done.stdout.count("ModuleNotFoundError") >= 5
    assert "pip install" in done.stdout


def test_this_installation_is_well() -> None:
    for check in (checks.check_python, checks.check_cache, checks.check_data, checks.check_drawing):
        assert only(check).mark == GOOD
    packages = findings_of(checks.check_packages)[0]
    assert packages.mark == GOOD
    assert "torch 2." in packages.words
    assert "pytest" not in packages.words  # that is an extra


def test_another_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.metadata, "metadata", lambda name: {"Requires-Python": ">=4"})
    found = only(checks.check_python)
    assert found.mark == BAD
    assert "needed: >=4" in found.words


def test_missing_and_old_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=999", "no-such-package>=1", "rich>=1", 'pytest>=999; extra == "dev"', 'pip>=1; extra == "course"']
    monkeypatch.setattr(checks.metadata, "requires", lambda name: lines)
    needed, lessons, tests = findings_of(checks.check_packages)
    assert marks(needed, lessons, tests) == [(BAD, "packages"), (GOOD, "for the lessons"), (WEAK, "for the tests")]
    assert f"numpy {np.__version__} (needed: >=999)" in needed.words
    assert "no-such-package missing" in needed.words
    assert "rich" not in needed.words
    assert "[dev]" in tests.mend
    assert "[" not in needed.mend


@pytest.mark.parametrize(("condition", "mark"), [("<", GOOD), (">", BAD)])
def test_a_package_for_other_pythons_is_not_asked_for(
    condition: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f'no-such-package; python_version {condition} "3"']
    monkeypatch.setattr(checks.metadata, "requires", lambda name: lines)
    found = findings_of(checks.check_packages)
    assert [finding.mark for finding in found] == [mark, GOOD, GOOD]


def test_torch_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = only(checks.check_torch)
    assert (found.mark, found.name) == (BAD, "torch")
    assert "pip install" in found.mend


def test_threads_that_get_in_each_others_way_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    assert findings_of(checks.check_torch)[0].mark == WEAK
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert findings_of(checks.check_torch)[0].mark == GOOD


@pytest.mark.parametrize(("built", "why"), [(False, "is built without CUDA"), (True, "has CUDA, but sees no GPU")])
def test_that_there_is_no_gpu_is_told_and_no_trouble(built: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    found = findings_of(checks.check_torch)
    assert Finding(GOOD, "cuda", f"none: torch {torch.__version__} {why}") in found


def test_gpus_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    cards = [namedtuple("Card", "name total_memory major")("A fine GPU", 8e9, major) for major in (8, 7)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    found = findings_of(checks.check_torch)
    assert Finding(GOOD, "cuda:0", "A fine GPU, 8 GB") in found
    older = next(finding for finding in found if finding.name == "cuda:1")
    assert (older.mark, older.words) == (WEAK, "A fine GPU, 8 GB, without bf16 of its own: training in it is slow")
    assert older.mend.endswith("--set precision=fp32")
    assert "cuda" not in [finding.name for finding in found]


def test_free_memory_is_read_where_linux_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 3000000 kB\n")
    assert checks.free_memory(meminfo) == pytest.approx(3.072)
    assert checks.free_memory(tmp_path / "none") is None
    for free, mark in ((3.0, GOOD), (None, GOOD), (1.0, WEAK)):
        monkeypatch.setattr(checks, "free_memory", lambda free=free: free)
        assert only(checks.check_memory).mark == mark


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda place: usage(5e8))
    room, runs = findings_of(checks.check_disk)
    assert marks(room, runs) == [(GOOD, "cache disk"), (BAD, "runs disk")]
    assert "--out" in runs.mend


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.write_text("not a folder")
    found = only(checks.check_cache)
    assert found.mark == BAD
    assert "MINIDALLE_CACHE" in found.mend


def test_looking_at_the_cache_makes_nothing(cache: Path) -> None:
    assert "empty" in only(checks.check_cache).words
    assert not cache.exists()


def test_damaged_pictures_are_found_among_good_ones(cache: Path) -> None:
    square = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1H0z"/></svg>'
    for size in (8, 16, 24):
        cache_module.cached_pictures("squares", [("a", square), ("b", square)], size)
    assert "3 files of rendered pictures" in only(checks.check_cache).words
    for size, cut in ((8, 0), (16, -1)):  # an empty file, and one that lacks its last byte
        file = cache / f"squares-{size}px.npy"
        file.write_bytes(file.read_bytes()[:cut])
    *damaged, whole = findings_of(checks.check_cache)
    assert [finding.mark for finding in (*damaged, whole)] == [BAD, BAD, GOOD]
    assert damaged[0].mend == f"delete it: {cache / 'squares-16px.npy'}"
    assert "1 file of rendered pictures" in whole.words


def test_the_checksums_are_current() -> None:
    """After rebuilding the data: `cd minidalle/data && sha256sum emoji.parquet *.csv > checksums.txt`."""
    data = CHECKSUMS.parent
    assert wrong_checksums() == {}
    listed = {line.split()[1] for line in CHECKSUMS.read_text().splitlines()}
    assert listed == {path.name for path in data.iterdir() if path.suffix in {".parquet", ".csv"}}


def test_a_flipped_bit_and_a_missing_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: os.urandom(1000) for name in ("a.csv", "b.csv", "c.csv")}
    sums = tmp_path / "sums.txt"
    sums.write_text("".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert wrong_checksums(tmp_path, sums) == {}
    spoiled = bytearray(files["b.csv"])
    spoiled[500] ^= 1
    (tmp_path / "b.csv").write_bytes(spoiled)
    (tmp_path / "c.csv").unlink()
    wrong = wrong_checksums(tmp_path, sums)
    assert wrong == {"b.csv": "has changed", "c.csv": "cannot be read (No such file or directory)"}
    monkeypatch.setattr("minidalle.data.checksums.wrong_checksums", lambda: wrong)
    found = only(checks.check_data)
    assert found.mark == BAD
    assert found.words.startswith("b.csv has changed; c.csv")


def test_a_resvg_that_draws_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "render_svg", lambda svg, size, name: np.full((size, size, 3), 255, np.uint8))
    assert only(checks.check_drawing).mark == BAD
