"""What is refused is named as it was typed, before anything is written; a command without words shows its help."""

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from minidalle.cli import main
from minidalle.cli.failures import as_typed, complaint
from minidalle.cli.gap import chosen_splits
from minidalle.course.building.build import chosen
from minidalle.errors import InvalidValue, known_as, require
from minidalle.evaluation.parts import HELD_OUT

Call = Callable[..., tuple[int, str, str]]
FILE_IN_THE_WAY = "--out='f': expected a folder, or a name that is free\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands are called in a folder that is empty, but for a file `f`."""
    (tmp_path / "f").write_text("in the way", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives the exit code, and what it prints to stdout and to stderr."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minidalle", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return called


REFUSED = {
    ("run", "--preset", "tiny", "--out", "f"): FILE_IN_THE_WAY,
    ("train", "vqgan", "--preset", "tiny", "--out", "f/inside"): FILE_IN_THE_WAY,
    ("encode", ".", "--out", "f"): FILE_IN_THE_WAY,
    ("generate", "x", "--out", "f"): FILE_IN_THE_WAY,
    ("generate", "x", "--out", "f/x.png"): FILE_IN_THE_WAY,
    ("trace", "x", "--out", "f/x.html"): FILE_IN_THE_WAY,
    ("export", "--run", "nowhere", "--out", "f"): FILE_IN_THE_WAY,
    ("import", "nowhere", "--out", "f"): FILE_IN_THE_WAY,
    ("evaluate", "--out", "f"): FILE_IN_THE_WAY,
    ("gap", "--out", "f"): FILE_IN_THE_WAY,
    ("gap", "--splits", "none"): f"--splits='none': expected all, or some of {', '.join(HELD_OUT)}\n",
    ("train", "vqgan", "--preset", "dalle-mini", "--ranks", "3"): "batch_size=64: expected a multiple of 3, the ranks",
    ("train", "reranker", "--preset", "tiny", "--ranks", "3"): "batch_size=32: expected a multiple of 3, the ranks",
    ("run", "--parts", "nowhere"): "--parts='nowhere': expected a notebook, a Python file or a folder that is there\n",
    ("run", "--data", "nowhere"): "--data='nowhere': expected a folder, parquet or tar files, or owner/name",
    ("run", "--data-split", "dev"): "--data=None: expected a source of pictures, for --data-split\n",
    ("encode", "nowhere", "--out", "x"): "SOURCE='nowhere': expected a folder, parquet or tar files, or owner/name",
    ("check", "nowhere"): "NOTEBOOK='nowhere': expected a notebook, a Python file or a folder that is there\n",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refused(arguments: tuple[str, ...], call: Call, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidalle.run.open_pictures", lambda *arguments: pytest.fail("this takes a while"))
    code, _, err = call(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"minidalle: {REFUSED[arguments]}")
    assert [path.name for path in place.iterdir()] == ["f"]  # nothing was begun


def test_a_bart_without_its_vqgan_is_told_what_to_do_first(call: Call, place: Path) -> None:
    asked = ("train", "bart", "--preset", "tiny")
    assert call(*asked, "--out", "runs/x") == (2, "", (
        "minidalle: stage='bart': expected after tokenizer and vqgan; runs/x has no tokenizer and no vqgan.safetensors:"
        " minidalle train tokenizer --preset tiny --out runs/x && minidalle train vqgan --preset tiny --out runs/x\n"
    ))  # fmt: skip
    assert [path.name for path in place.iterdir()] == ["f"]
    (place / "run" / "tokenizer").mkdir(parents=True)
    _, _, err = call(*asked, "--out", "run", "--seed", "3", "--data", "my pictures", "--data-split", "a")
    assert "expected after vqgan; run has no vqgan.safetensors: minidalle train vqgan --preset tiny --out run" in err
    assert err.endswith(" --seed 3 --data 'my pictures' --data-split a\n")


def test_a_pipe_of_an_old_code_page_takes_what_anybody_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows gives a pipe such a one; a student's function may print a star, and our commands print ticks."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("minidalle.cli.class_app.app", lambda **options: print("café → ★"))
    monkeypatch.setattr(sys, "stdout", said)
    with pytest.raises(SystemExit) as ended:
        main()
    said.flush()
    assert (ended.value.code, said.buffer.getvalue().decode("cp1252").split()) == (None, ["café", "?", "?"])  # type: ignore[attr-defined]


def test_a_source_without_a_usable_row_is_no_success(call: Call, place: Path) -> None:
    (place / "pics").mkdir()
    (place / "pics" / "a.png").write_text("no picture", encoding="utf-8")
    (place / "pics" / "a.txt").write_text("a caption", encoding="utf-8")
    for _ in range(2):  # what is finished already is none the better
        code, _, err = call("encode", "pics", "--out", "tokens")
        listed = Path("tokens", "shard-0-of-1-skipped.csv")
        assert (code, err) == (2, f"minidalle: SOURCE='pics': no row can be used; 1 skipped, see {listed}\n")
    with open(listed, newline="", encoding="utf-8") as file:
        assert "a.png" in list(csv.reader(file))[1]
    assert call("encode", "pics", "--out", "shared", "--shard", "1/2")[0] == 0  # all rows are the other machine's


def test_one_picture_is_one_picture(call: Call, place: Path) -> None:
    assert call("generate", "red apple, noto style") == (0, "1 picture: drawn.png\n", "")
    assert Image.open(place / "drawn.png").size[0] >= 32
    assert call("generate", "red apple, noto style", "-n", "2", "--out", "two") == (0, "2 pictures in two\n", "")


@pytest.mark.parametrize(("arguments", "command"), [((), "generate"), (("bench",), "decode")])
def test_a_command_without_words_shows_its_help(arguments: tuple[str, ...], command: str, call: Call) -> None:
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["Usage: minidalle", *arguments, "[OPTIONS] COMMAND"]))
    assert command in out
    assert call(*arguments, "--help") == (0, out, "")


def test_defaults_are_in_the_help(call: Call) -> None:
    def help_of(*command: str) -> str:
        return " ".join(call(*command, "--help")[1].split())

    assert "[default: RUN/evaluation; without --run: evaluation]" in help_of("evaluate")
    assert "[default: RUN/gap; without --run: gap]" in help_of("gap")
    assert help_of("generate").count("[default: the run's own]") == 4
    assert "[default: the readable decoder]" in help_of("generate")


def test_a_field_is_named_as_the_option_that_was_typed() -> None:
    words = "top_p=2.0: expected a probability"
    assert as_typed(words, ["generate", "x", "--top-p", "2"]) == "--top-p=2.0: expected a probability"
    assert as_typed(words, ["generate", "x", "--top-p=2"]) == "--top-p=2.0: expected a probability"
    assert as_typed(words, ["generate", "--top-k", "2"]) == words
    assert as_typed("split='a': expected b", ["run", "--data-split", "a"]) == "--data-split='a': expected b"
    assert as_typed("runs/x holds a run with other settings (a=b)", ["--out", "runs/x"]).startswith("runs/x holds")


def test_a_field_has_the_name_that_the_user_knows() -> None:
    with pytest.raises(InvalidValue, match=r"^SOURCE='a': expected b$"), known_as("SOURCE", field="data"):
        require(False, "data", "a", "b")
    with pytest.raises(InvalidValue, match=r"^date='a': expected b$"), known_as("SOURCE", field="data"):
        require(False, "date", "a", "b")


def test_a_fault_of_ours_is_raised_again() -> None:
    with pytest.raises(KeyError):
        complaint(KeyError("ours"))


def test_splits_with_commas_or_all() -> None:
    assert chosen_splits("iid, concept") == ("iid", "concept")
    assert chosen_splits("all") == chosen_splits(None) == HELD_OUT


def test_lessons_that_there_are(place: Path) -> None:
    with pytest.raises(InvalidValue, match="lesson='foo': expected one of 01-toy, 02-game"):
        chosen({"01-toy": place, "02-game": place}, ["foo"])
    with pytest.raises(InvalidValue, match="lesson='foo': expected a lesson: solutions/ has none here"):
        chosen({}, ["foo"])
