"""The whole measurement on a small world: what stands in its tables, and what `minidalle gap` writes."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_world import make_pictures, make_pipeline
from PIL import Image
from torch import Tensor

from minidalle.cli import gap as command
from minidalle.data.pixels import to_floats
from minidalle.errors import InvalidValue
from minidalle.evaluation import some_rows
from minidalle.generalization.gap import examples, generalization_gap
from minidalle.generalization.lanczos import top_eigenvalue
from minidalle.generalization.mean_loss import bart_loss
from minidalle.generalization.measuring import Generalization, Settings, measure
from minidalle.pipeline import TextToImage
from minidalle.sampling_config import SamplingConfig

PICTURES = make_pictures()
SETTINGS = Settings(rows=8, drawn=4, curvature=4, traces=2, density=3)


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return make_pipeline()


@pytest.fixture(scope="module")
def reports() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def result(pipeline: TextToImage, reports: list[tuple[str, int, int]]) -> Generalization:
    draw = partial(pipeline.draw, sampling=SamplingConfig(temperature=0.5))
    return measure(pipeline, PICTURES, draw, settings=SETTINGS, watch=lambda *report: reports.append(report))


def draw_training_pictures(captions: list[str], seeds: list[int]) -> Tensor:
    """Copies: the first training picture, whatever is asked for."""
    return to_floats(PICTURES.pictures[PICTURES.rows("train")[:1]]).expand(len(captions), -1, -1, -1)


def test_the_table_is_of_the_functions_that_it_names(pipeline: TextToImage, result: Generalization) -> None:
    assert [split.split for split in result.splits] == ["train", "dev", "cell"]
    train, cell = (examples(pipeline, PICTURES, some_rows(PICTURES, split, 8)) for split in ("train", "cell"))
    gap = generalization_gap(pipeline.bart, train, cell)
    found = result.splits[2]
    assert found.gap is not None
    assert found.rows == 5
    assert found.gap.raw.gap == pytest.approx(gap.raw.gap, abs=1e-6)
    assert found.gap.adjusted.role_se == pytest.approx(gap.adjusted.role_se, rel=1e-4)
    assert found.loss.mean - result.splits[0].loss.mean == pytest.approx(gap.raw.gap, abs=1e-6)
    assert found.caption_gain.mean - result.splits[0].caption_gain.mean == pytest.approx(-gap.adjusted.gap, abs=1e-6)


def test_curvature_is_of_training_rows(pipeline: TextToImage, result: Generalization) -> None:
    seen = examples(pipeline, PICTURES, some_rows(PICTURES, "train", 4))
    loss = bart_loss(pipeline.bart, seen.tokens, np.arange(4))
    top, _ = top_eigenvalue(loss.product, loss.dim, tolerance=0.001)
    measured = result.curvature[0]
    assert abs(measured.value - top) <= measured.error + 0.001 * top
    assert measured.error <= 0.02 * measured.value
    assert [one.error_is for one in result.curvature[:3]] == ["bound", "bound", "standard error"]
    assert result.density is not None
    assert torch.trapezoid(result.density[1], result.density[0]).item() == pytest.approx(1, abs=1e-3)


def test_copies_are_found(pipeline: TextToImage) -> None:
    settings = Settings(rows=8, drawn=4, curvature=0)
    found = measure(pipeline, PICTURES, draw_training_pictures, settings=settings)
    assert all(split.nearer is not None and split.nearer.mean == 1 for split in found.splits[1:])
    assert found.copies.distances[0] == 0
    assert (found.copies.drawn[0] == found.copies.training[0]).all()
    assert found.curvature == ()


def test_progress_is_reported(result: Generalization, reports: list[tuple[str, int, int]]) -> None:
    assert ("loss, train", 8, 8) in reports
    assert ("drawing, cell", 4, 4) in reports
    assert [done for what, done, _ in reports if what == "trace"] == [1, 2]


def test_the_same_twice(pipeline: TextToImage, result: Generalization) -> None:
    draw = partial(pipeline.draw, sampling=SamplingConfig(temperature=0.5))
    again = measure(pipeline, PICTURES, draw, settings=SETTINGS)
    one, other = ({**found.records(), "seconds": 0} for found in (result, again))
    assert one == other


def test_data_without_roles_is_measured_by_captions(pipeline: TextToImage) -> None:
    pictures = make_pictures(columns=False)
    draw = partial(pipeline.draw, sampling=SamplingConfig())
    found = measure(pipeline, pictures, draw, settings=Settings(rows=4, drawn=2, curvature=0))
    assert found.null == "dev"


@pytest.mark.parametrize("splits", [(), ("concept",)])
def test_splits_that_are_not_there(pipeline: TextToImage, splits: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValue, match=r"splits=.*one or more of dev, cell"):
        measure(pipeline, PICTURES, draw_training_pictures, splits=splits)


@pytest.mark.parametrize("wrong", [{"rows": 1}, {"drawn": 0}, {"curvature": -1}, {"traces": 1}, {"density": 0}])
def test_settings_are_checked(wrong: dict[str, int]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises(InvalidValue, match=f"{name}={value}"):
        Settings(**wrong)


def test_the_command_writes_table_figures_and_page(
    tmp_path: Path, pipeline: TextToImage, result: Generalization, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pipeline.save(tmp_path / "run")
    monkeypatch.setattr(command, "open_pictures", lambda source, size: PICTURES)
    monkeypatch.setattr(command, "measure", lambda *arguments: result)
    command.measure_gap(tmp_path / "run", None, tmp_path / "out", 8, True, "cpu")
    printed = capsys.readouterr().out
    for word in ("adjusted gap", "nearer to train", "largest eigenvalue of |W|H|W|", "cell", "gap.html"):
        assert word in printed
    records = json.loads((tmp_path / "out" / "gap.json").read_text(encoding="utf-8"))
    assert records["splits"][1]["gap"]["raw"]["gap"] == result.splits[1].gap.raw.gap  # type: ignore[union-attr]
    html = (tmp_path / "out" / "gap.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 3
    assert all(address.startswith("data:image/png") for address in re.findall(r'src="([^"]*)"', html))
    for name in ("gaps", "distances", "spectrum", "nearest"):
        assert Image.open(tmp_path / "out" / f"{name}.png").width > 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--splits", "iid,roles"), "--splits='iid,roles': expected all, or some of dev, iid, cell"),
        (("--run", "nothing"), "nothing"),
    ],
)
def test_what_the_command_is_not_given(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    called = [sys.executable, "-m", "minidalle", "gap", *arguments]
    done = subprocess.run(called, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
