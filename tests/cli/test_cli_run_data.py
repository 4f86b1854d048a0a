"""`minidalle run --data`: one's own pictures from a folder to a report, resumed, refused."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from PIL import Image, ImageDraw

from minidalle.cli.app import app
from minidalle.cli.drawing import _real_picture
from minidalle.cli.training import short_name
from minidalle.data import DataConfig
from minidalle.data.origin import data_of, open_pictures
from minidalle.errors import InvalidValue
from minidalle.presets import TINY, Preset
from minidalle.run import run as run_all


def minidalle_command(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "minidalle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)


def draw_shapes(folder: Path, count: int) -> None:
    """Up to 60 pictures of shapes, of several sizes and kinds of file, with captions beside them."""
    colors = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink", "grey", "navy")
    wanted = [
        (color, shape, size) for size in (12, 20) for shape in ("ellipse", "rectangle", "line") for color in colors
    ]
    folder.mkdir(exist_ok=True)
    for i, (color, shape, size) in enumerate(wanted[:count]):
        image = Image.new("RGB", (40, 20 + i), "white")
        getattr(ImageDraw.Draw(image), shape)((2, 2, size, size), fill=color)
        path = folder / f"{i:02d}.{('png', 'jpg', 'webp')[i % 3]}"
        image.save(path)
        path.with_suffix(".txt").write_text(f"{color} {shape} of size {size}")


def short(preset: Preset) -> Preset:
    """A few steps of everything, in one process."""
    stages = preset.training
    few = replace(
        stages,
        vqgan=replace(stages.vqgan, steps=6, unquantized=2, warmup=1, discriminator_start=3, checkpoint_every=3),
        bart=replace(stages.bart, steps=6, warmup=1, draft_steps=2, checkpoint_every=3, batch_size=32),
    )
    return replace(preset, training=few)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded pictures go to a folder of these tests' own, which subprocesses share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDALLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `minidalle run --preset tiny --data my_pictures/` was called once."""
    folder = tmp_path_factory.mktemp("own")
    draw_shapes(folder / "my_pictures", 60)
    (folder / "my_pictures/junk[red].png").write_text("no picture")  # Rich would take it for markup
    (folder / "my_pictures/junk[red].txt").write_text("junk")
    (folder / "my_pictures/07.txt").unlink(missing_ok=True)
    done = minidalle_command("run", "--preset", "tiny", "--data", "my_pictures/", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "59 pictures of 16×16; 2 skipped" in done.stdout
    assert "junk[red].png" in done.stdout
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    return place / "runs" / "tiny-my-pictures"


def test_a_report_of_ones_own_pictures(run: Path) -> None:
    html = (run / "report.html").read_text(encoding="utf-8")
    dev = len(open_pictures(data_of(run), 16).rows("dev"))
    assert len(re.findall('src="data:image/png;base64,', html)) == 3 * min(dev, 12)
    for words in ("my_pictures", "2 rows that were skipped", "of size 12"):
        assert words in html
    for words in ("emoji", "skin tone"):
        assert words not in html
    assert [row["split"] for row in json.loads((run / "scores.json").read_text())] == ["train", "dev"]
    assert Image.open(run / "pictures" / "dev.png").size[0] == min(dev, 12) * (3 * 16 + 6) + 6


def test_what_was_skipped_is_listed(run: Path) -> None:
    with open(run / "skipped.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["name", "reason"], ["07.jpg", "blank caption"], ["junk[red].png", "no picture of a known kind"]]


def test_a_run_knows_its_pictures(place: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_of(run) == DataConfig(str(place / "my_pictures"))
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["data"]["pictures"] == 59
    monkeypatch.chdir(place)
    app(("generate", "red line of size 12", "--run", str(run)), standalone_mode=False)
    assert (place / "drawn.png").exists()


def test_trace_and_evaluate_know_its_pictures(place: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    app(("trace", "red line of size 12", "--run", str(run)), standalone_mode=False)
    assert "red line of size 12" in (place / "trace.html").read_text(encoding="utf-8")
    real, split = _real_picture(run, "red line of size 12", 16) or pytest.fail("not found")
    assert real.shape == (16, 16, 3)
    assert split in ("train", "dev")
    assert _real_picture(run, "red apple, noto style", 16) is None  # an emoji, and none of these pictures
    app(("evaluate", "--run", str(run)), standalone_mode=False)
    scores = json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert {row["split"] for row in scores["scores"]} == {"train", "dev"}
    assert scores["settings"]["data"] == str(place / "my_pictures")
    assert (run / "evaluation" / "dev.png").exists()


def test_a_finished_run_is_not_trained_again(
    place: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("*.safetensors")}
    monkeypatch.chdir(place)
    app(("run", "--preset", "tiny", "--data", "my_pictures"), standalone_mode=False)
    assert "training the" not in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in run.glob("*.safetensors")}


def test_other_pictures_are_refused(place: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    draw_shapes(place / "others", 20)
    same = ("run", "--preset", "tiny", "--out", str(run))
    for more, new in ((("--data", "others"), "20 pictures of"), ((), "the bundled emoji")):
        with pytest.raises(InvalidValue, match=rf"holds a run with other settings \(data: 59 pictures of .* → {new}"):
            app((*same, *more), standalone_mode=False)


@pytest.mark.parametrize("ranks", [1, 2])
def test_twelve_pictures_are_enough(ranks: int, tmp_path: Path) -> None:
    """One row of `dev` for two ranks; batches larger than the data; hardly more latents than codes."""
    draw_shapes(tmp_path / "few", 12)
    data = DataConfig(str(tmp_path / "few"))
    assert run_all(short(TINY), tmp_path / "run", "cpu", ranks, data=data) == tmp_path / "run" / "report.html"
    assert not (tmp_path / "run" / "skipped.csv").exists()
    draw_shapes(tmp_path / "few", 13)
    with pytest.raises(InvalidValue, match=r"data: 12 pictures of \S+ \(\w+\) → 13 pictures"):
        run_all(short(TINY), tmp_path / "run", "cpu", ranks, data=data)


def test_a_real_folder(tmp_path: Path) -> None:
    """The icons of matplotlib's toolbar, in two sizes, with transparency; their names are the captions."""
    icons = sorted((Path(matplotlib.get_data_path()) / "images").glob("*.png"))
    assert len(icons) > 15
    for icon in icons:
        shutil.copy(icon, tmp_path)
        (tmp_path / icon.name).with_suffix(".txt").write_text(icon.stem.replace("_", " "))
    report = run_all(short(TINY), tmp_path / "run", "cpu", 1, data=DataConfig(str(tmp_path)))
    assert report is not None
    pictures = open_pictures(data_of(tmp_path / "run"), 16)
    assert len(pictures) == len(icons)
    assert "zoom to rect large" in pictures.captions
    assert all(picture.min() < 100 and (picture == 255).mean() > 0.2 for picture in pictures.pictures)  # on white
    assert not (tmp_path / "run" / "skipped.csv").exists()


def test_too_few_pictures_for_the_codebook_are_counted(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "few", 4)
    with pytest.raises(InvalidValue, match="pictures to train on=3: expected at least 4: each has 16 image tokens"):
        run_all(TINY, tmp_path / "run", "cpu", 1, data=DataConfig(str(tmp_path / "few")))
    assert not (tmp_path / "run").exists()


REFUSED = {
    ("run", "--data", "nowhere"): "data='nowhere': expected a folder, parquet or tar files, or owner/name",
    ("run", "--data", "."): "expected captions.csv",
    ("run", "--most", "9"): "--data=None: expected a source of pictures, for --most",
    ("train", "vqgan", "--caption-column", "x"): "--data=None: expected a source of pictures, for --caption-column",
    ("run", "--data", ".", "--most", "1"): "most=1: expected at least 2",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refused(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValue, match=re.escape(REFUSED[arguments])) as error:
        app(arguments, standalone_mode=False)
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_names_of_runs() -> None:
    names = ["My pictures/", "owner/name@main", "shards/*.parquet", "a.tar", "*"]
    assert [short_name(name) for name in names] == ["my-pictures", "name", "own", "a", "own"]
