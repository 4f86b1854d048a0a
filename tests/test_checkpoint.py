"""Files are whole or not there, whatever happens to the process, the disk or the file."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from minidalle.checkpoint import (
    CheckpointError,
    atomic_write,
    load_json,
    load_model,
    load_tensors,
    save_json,
    save_model,
    save_tensors,
    stream_tensors,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["word é", b"\x00bytes", lambda draft: draft.write_text("called")])
def test_writes_what_it_is_given_and_leaves_no_draft(tmp_path: Path, content: str) -> None:
    path = tmp_path / "new" / "file"
    atomic_write(path, "old")
    atomic_write(path, content)
    expected = {"word é": "word é".encode(), b"\x00bytes": b"\x00bytes"}.get(content, b"called")
    assert path.read_bytes() == expected
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("content", ["bytes", b"bytes", lambda draft: draft.write_text("bytes")])
def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path, content: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    atomic_write(pipe, content)
    assert os.read(reader, 100) == b"bytes"
    os.close(reader)
    assert pipe.is_fifo()
    (tmp_path / "link").symlink_to("/dev/null")
    atomic_write(tmp_path / "link", content)
    assert names(tmp_path) == ["link", "pipe"]
    assert (tmp_path / "link").is_char_device()


@pytest.mark.parametrize("through", ["a pipe", "a file"])
def test_standard_output_is_written_to(tmp_path: Path, through: str) -> None:
    code = """import os; from minidalle.checkpoint import save_json; from pathlib import Path
os.replace = None  # it would take /dev/stdout from the machine
save_json(Path('/dev/stdout'), {'a': 1})"""
    with open(tmp_path / "file", "w") as file:
        out = subprocess.run(
            [sys.executable, "-c", code], stdout=file if through == "a file" else -1, check=True
        ).stdout
    assert json.loads(out or (tmp_path / "file").read_text()) == {"a": 1}
    assert Path("/dev/stdout").is_symlink()
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_that_the_user_asks_for(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        atomic_write(tmp_path / "file", "text")
        assert os.umask(mask) == mask  # and it is as before
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


WRITER = """
    import os, sys
    from pathlib import Path
    from minidalle.checkpoint import atomic_write
    path, parts = Path(sys.argv[1]), [bytes([i]) * 2_000_000 for i in range(1, 60)]
    def fill(draft):
        with open(draft, "wb") as file:
            for part in parts:
                file.write(part)
    for line in sys.stdin:
        writer = os.fork()
        if not writer:
            for i in range(10_000):
                atomic_write(path, parts[i % 59] * 8 if i % 2 else fill)
        print(writer, flush=True)
        os.waitpid(writer, 0)
        print("dead", flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """The writer writes files of one repeated byte (or of all in order) in an endless loop; each one is killed."""
    path, ordered = tmp_path / "file", b"".join(bytes([i]) * 2_000_000 for i in range(1, 60))
    path.write_bytes(b"\x07" * 16_000_000)
    left_a_draft = 0
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        assert forker.stdin
        assert forker.stdout
        for attempt in range(20):
            print("go", file=forker.stdin, flush=True)
            writer = int(forker.stdout.readline())
            time.sleep(0.013 * attempt)
            os.kill(writer, signal.SIGKILL)
            assert forker.stdout.readline() == "dead\n"
            content = path.read_bytes()
            assert content == ordered or content == content[:1] * 16_000_000
            for draft in tmp_path.glob(".file.*.part"):
                left_a_draft += 1
                draft.unlink()
        forker.stdin.close()
    assert left_a_draft > 5  # else hardly a kill fell into a write, and the test has shown little


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to make any file longer than this, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", [
    lambda path: atomic_write(path, b"x" * 100_000),
    lambda path: atomic_write(path, lambda draft: draft.write_bytes(b"x" * 100_000) and None),
    lambda path: save_tensors(path, {"x": torch.zeros(100_000)}),
    lambda path: save_json(path, ["word"] * 100_000),
])  # fmt: skip
def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with file_size_limit(50_000), pytest.raises(CheckpointError, match=f"^cannot write {path}: File too large$"):
        write(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_disk_that_fills_up_while_the_bytes_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"file: No space left on device$"):
        atomic_write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in the way").write_text("a file")
    with pytest.raises(CheckpointError, match=r"cannot write .*in the way/file: "):
        atomic_write(tmp_path / "in the way" / "file", "text")
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # the superuser may write anywhere
        folder = Path("/proc")
    with pytest.raises(CheckpointError, match=f"cannot write {folder}/file: "):
        atomic_write(folder / "file", "text")


def test_a_writer_that_fails_leaves_the_old_file_and_its_own_error(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise ZeroDivisionError

    atomic_write(tmp_path / "file", "old")
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {
        "a/b": torch.randn(3, 4).T,
        "bf16": torch.randn(2).bfloat16(),
        "long": torch.arange(5),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.zeros(0),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "parameter": nn.Parameter(torch.ones(2)),
    }
    save_tensors(tmp_path / "x.safetensors", tensors, {"note": "hello"})
    found = load_tensors(tmp_path / "x.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


@pytest.mark.parametrize("cut", [0, 4, 40, -1])
def test_damaged_tensors_are_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"x": torch.ones(1000)})
    whole = path.read_bytes()
    for damaged in (whole[:cut], whole + b"more", b"\xff" * len(whole)):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=f"^cannot read {path}: "):
            load_tensors(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"^cannot read {path}: there is no such file$"):
        load_tensors(path)
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"^cannot read {path}: "):
        load_tensors(path)


def test_damaged_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    save_json(path, {"é": [1, 2.5, None]})
    assert load_json(path) == {"é": [1, 2.5, None]}
    for damaged in (b"", path.read_bytes()[:-4], b"\xff\xfe\x00garbled"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=f"^cannot read {path}: "):
            load_json(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_json(path)


@dataclass(frozen=True)
class Shape:
    inputs: int = 3
    outputs: int = 2


class Small(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.config = Shape(inputs, outputs)
        self.linear = nn.Linear(inputs, outputs)
        self.register_buffer("seen", torch.tensor(7))


def test_a_model_comes_back_in_eval_mode(tmp_path: Path) -> None:
    model = Small(3, 2).train()
    save_model(tmp_path / "m", model, model.config)
    found = load_model(tmp_path / "m", Small)
    assert found.config == model.config
    assert not found.training
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in found.state_dict().items())


def test_every_wrong_name_of_a_model_is_listed(tmp_path: Path) -> None:
    path, model = tmp_path / "m", Small(3, 2)
    state = model.state_dict()
    spoiled = {"linear.weight": state["linear.weight"], "strange": torch.ones(1), "stranger": torch.ones(1)}
    save_tensors(path, spoiled, {"config": json.dumps({"inputs": 3, "outputs": 2})})
    with pytest.raises(CheckpointError) as caught:
        load_model(path, Small)
    said = str(caught.value)
    assert said.startswith(f"{path} does not hold such a model")
    assert all(name in said for name in ("linear.bias", "seen", "strange", "stranger"))


@pytest.mark.parametrize(("config", "word"), [
    (None, "config"),
    ('{"inputs": 3', "JSON"),
    ('{"inputs": 3, "outputs": 2, "extra": 1}', "extra"),
    ('{"inputs": 3}', "outputs"),
    ('{"inputs": 4, "outputs": 2}', "linear.weight"),
    ("[1, 2]", ""),
])  # fmt: skip
def test_a_model_with_a_wrong_config_is_named(tmp_path: Path, config: str | None, word: str) -> None:
    path = tmp_path / "m"
    metadata = None if config is None else {"config": config}
    path.write_bytes(safetensors.torch.save(Small(3, 2).state_dict(), metadata))
    with pytest.raises(CheckpointError, match=f"{path} does not hold such a model: .*{word}"):
        load_model(path, Small)


def test_tensors_written_one_by_one_are_the_same_file(tmp_path: Path) -> None:
    tensors = {
        "half": torch.randn(3, 1).half(),
        "whole": torch.arange(5),
        "turned": torch.randn(4, 6).T,
        "brain": torch.randn(2, 2).bfloat16(),
        "one": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "yes": torch.tensor([True, False, True]),
        "double": torch.randn(2).double(),
    }
    kinds = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    asked: list[str] = []

    def read(name: str) -> torch.Tensor:
        asked.append(name)
        return tensors[name]

    stream_tensors(tmp_path / "a.safetensors", kinds, read, {"config": "é"})
    assert sorted(asked) == sorted(tensors)
    back = load_tensors(tmp_path / "a.safetensors")
    assert back.keys() == tensors.keys()
    assert all(back[name].dtype == tensor.dtype and torch.equal(back[name], tensor) for name, tensor in tensors.items())
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"config": "é"}
    with pytest.raises(ValueError, match="double"):
        stream_tensors(tmp_path / "b.safetensors", kinds, lambda name: tensors["half"])
    assert names(tmp_path) == ["a.safetensors"]


@pytest.mark.parametrize("saved", [torch.float32, torch.float16])
@pytest.mark.parametrize("wanted", [None, torch.bfloat16, torch.float32])
def test_a_model_comes_back_in_the_precision_that_was_asked_for(
    saved: torch.dtype, wanted: torch.dtype | None, tmp_path: Path
) -> None:
    @dataclass
    class Config:
        width: int

    def build(width: int) -> nn.Module:
        module = nn.BatchNorm1d(width)  # with buffers, one of them whole numbers
        module.fixed = nn.Parameter(torch.randn(width), requires_grad=False)
        return module

    module = build(3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.5, 1.25, -2.0]))
    save_model(tmp_path / "model.safetensors", module, Config(3), saved)
    before = torch.random.get_rng_state()
    back = load_model(tmp_path / "model.safetensors", build, wanted)
    assert torch.equal(torch.random.get_rng_state(), before)  # nothing is drawn for weights that are read anyway
    kind = wanted or torch.float32
    assert {name: value.dtype for name, value in back.state_dict().items()} == {
        "weight": kind, "bias": kind, "running_mean": kind, "running_var": kind, "fixed": kind,
        "num_batches_tracked": torch.int64,
    }  # fmt: skip
    assert torch.equal(back.weight, module.weight.to(kind))
    assert (back.weight.requires_grad, back.fixed.requires_grad) == (True, False)
    assert isinstance(back.weight, nn.Parameter)
    file = tmp_path / "model.safetensors"
    with open(file, "rb+") as content:  # in place, as an atomic write never does
        content.write(bytes(file.stat().st_size))
    assert torch.equal(back.weight, module.weight.to(kind))  # it has its own memory, whatever becomes of the file
