"""What cannot be done is said in one line that names it, with exit code 2."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from minidalle.cli import main
from minidalle.cli.drawing import file_names
from minidalle.cli.settings import with_settings
from minidalle.errors import InvalidValue
from minidalle.presets import TINY

REFUSED = {
    ("run", "--preset", "huge"): "--preset='huge': expected one of tiny, baseline, cpu",
    ("run", "--presset", "cpu"): "--presset",
    ("run", "--device", "tpu"): "--device='tpu': expected auto or one of",
    ("run", "--ranks", "-1"): "--ranks='-1': expected 0 or more. What there is: minidalle run --help",
    ("run", "--seed", "-1"): "--seed='-1': expected 0 or more",
    ("train", "gan"): "stage='gan': expected one of tokenizer, vqgan, bart, reranker, scorer. What",
    ("generate",): "CAPTION",
    ("generate", " "): "CAPTION=' ': expected some words",
    ("generate", "x", "--run", "nowhere"): "--run='nowhere': expected the folder of a finished run",
    ("generate", "x", "--temperature", "-1"): "--temperature=-1.0: expected a number, 0 or more",
    (
        "generate",
        "x",
        "--temperature",
        "hot",
    ): "--temperature='hot': expected a number. What there is:",
    ("generate", "x", "--top-k", "0"): "--top-k='0': expected 1 or more",
    ("generate", "x", "--device", "cpu", "--precision", "fp8"): "precision='fp8': expected one of fp32, bf16, int8",
    ("bench", "decode", "--shape", "huge"): "--shape='huge': expected one of",
    ("bench", "decode", "--device", "cpu", "--tokens", "257"): "tokens=257: expected at most 256",
    ("train", "bart", "--set", "accumulate=0"): "accumulate=0: expected from 1 to batch_size=64 parts",
    ("train", "bart", "--set", "compile=maybe"): "--set='compile=maybe': expected true or false",
    ("train", "vqgan", "--set", "accumulate=2"): "--set='accumulate=2': expected NAME=VALUE, the name one of steps",
    ("train", "vqgan", "--set", "steps"): "--set='steps': expected NAME=VALUE, such as steps=100",
    ("train", "reranker", "--set", "steps=2"): "expected none for reranker: only vqgan and bart have settings",
    ("train", "vqgan", "--shard-model"): "--shard-model=True: expected none for train vqgan: only a BART is split",
    ("bench", "train", "--shape", "huge"): "--shape='huge': expected one of",
    ("bench", "train", "--device", "tpu"): "device='tpu'",
    ("bench", "scaling", "--out", "plot.pdf"): "--out='plot.pdf': expected FILE.png",
    ("generate", "x", "--top-p", "1.5"): "--top-p=1.5",
    ("generate", "x", "--guidance", "nan"): "--guidance=nan",
    ("generate", "x", "-n", "0"): "-n='0': expected 1 or more. What there is: minidalle generate --help",
    ("generate", "x", "--out", "sheet.jpg"): "--out='sheet.jpg': expected FILE.png",
    ("trace", "x", "--run", "nowhere"): "--run='nowhere'",
    ("export", "--run", "nowhere", "--out", "x"): "--run='nowhere'",
    ("evaluate", "--run", "nowhere"): "--run='nowhere'",
    ("evaluate", "--candidates", "0"): "--candidates='0': expected 1 or more",
    ("paint",): "No such command 'paint'. Did you mean 'train'? What there is: minidalle --help",
    ("bench", "paint"): "No such command 'paint'. Did you mean 'train'? What there is: minidalle bench --help",
    ("train",): "Missing argument 'stage'. Choose from: tokenizer, vqgan, bart",
}


def minidalle_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "minidalle", *arguments], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refused(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["minidalle", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr().err
    assert left.value.code == 2
    assert REFUSED[arguments] in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())  # nothing was begun


def test_refused_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = minidalle_command("paint", folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_help_has_examples(tmp_path: Path) -> None:
    for command in ("run", "train", "encode", "generate", "trace", "evaluate", "export"):
        done = minidalle_command(command, "--help", folder=tmp_path)
        assert done.returncode == 0
        assert f"Example: minidalle {command}" in done.stdout
    assert minidalle_command("--version", folder=tmp_path).stdout.startswith("minidalle ")


def test_settings_are_of_the_type_that_they_have() -> None:
    changed = with_settings(TINY, "bart", ("accumulate=4", "compile=true", "learning_rate=1e-4", "optimizer=adamw"))
    assert changed.training.vqgan == TINY.training.vqgan
    assert changed.training.bart == replace(TINY.training.bart, accumulate=4, compile=True, learning_rate=1e-4)
    assert with_settings(TINY, "tokenizer", ()) is TINY
    with pytest.raises(InvalidValue, match="--set='steps=many': expected a whole number"):
        with_settings(TINY, "vqgan", ("steps=many",))


def test_every_picture_has_a_file_of_its_own() -> None:
    captions = ["red apple", "Red apple!", "кот", "猫", "?", "!", "a/b_c"]
    wanted = [*((caption, 0) for caption in captions), ("red apple", 1)]
    assert file_names(wanted) == ["red-apple-0.png", "red-apple-0-2.png", "кот-0.png", "猫-0.png", "picture-0.png",
                                  "picture-0-2.png", "a-b-c-0.png", "red-apple-1.png"]  # fmt: skip


@pytest.mark.parametrize("of", [(), ("bench",)], ids=["all", "bench"])
def test_the_list_of_commands_says_what_each_does_in_a_line(
    of: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["minidalle", *of, "--help"])
    with pytest.raises(SystemExit):
        main()
    listed = capsys.readouterr().out.partition("Commands:\n")[2].strip().splitlines()
    assert len(listed) > 2
    assert all(re.fullmatch(r" *[a-z-]+  +[A-Z].*\.", line) and "..." not in line for line in listed)
