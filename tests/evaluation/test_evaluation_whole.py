"""The whole evaluation on a small world: an untrained pipeline, a perfect one, rows, parts, sheets, the command."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_world import PEOPLE, make_pictures, make_pipeline
from PIL import Image
from torch import Tensor

from minidalle.checkpoint import load_json
from minidalle.cli import drawing as weights
from minidalle.cli import evaluation as command
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import to_floats, to_pixels
from minidalle.errors import InvalidValue
from minidalle.evaluation import Evaluation, drawing, evaluate, score_splits, some_rows
from minidalle.evaluation.free_text import Prompt
from minidalle.evaluation.parts import groups, parts, rows_of_splits
from minidalle.evaluation.sheets import page, sheets
from minidalle.pipeline import TextToImage
from minidalle.sampling_config import SamplingConfig

PICTURES = make_pictures()
PROMPTS = [Prompt("an apple", "name", ("apple",)), Prompt("someone who cooks", "words", ("cook", "judge"))]
SAMPLING = SamplingConfig(temperature=0.5, guidance=2.0)


def draw_real(captions: list[str], seeds: list[int]) -> Tensor:
    """A perfect painter, who has seen everything; what it does not know it draws as the first picture."""
    row = {caption: i for i, caption in enumerate(PICTURES.captions)}
    return to_floats(PICTURES.pictures[[row.get(caption, 0) for caption in captions]])


class KnowingJudge:
    """Knows every real picture and its caption by heart, and nothing else."""

    def text_vectors(self, captions: list[str]) -> Tensor:
        return torch.eye(len(PICTURES))[[PICTURES.captions.index(caption) for caption in captions]]

    def image_vectors(self, pictures: Tensor) -> Tensor:
        known = {picture.tobytes(): row for row, picture in enumerate(PICTURES.pictures)}
        rows = [known.get(picture.tobytes()) for picture in to_pixels(pictures)]
        return torch.stack([torch.zeros(len(PICTURES)) if r is None else torch.eye(len(PICTURES))[r] for r in rows])


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return make_pipeline()


@pytest.fixture(scope="module")
def untrained(pipeline: TextToImage) -> Evaluation:
    draw = partial(pipeline.draw, sampling=SAMPLING)
    return evaluate(pipeline, PICTURES, draw, most=12, prompts=PROMPTS, prompt_seeds=2)


@pytest.fixture(scope="module")
def perfect(pipeline: TextToImage) -> Evaluation:
    return evaluate(pipeline, PICTURES, draw_real, KnowingJudge(), most=None, prompts=PROMPTS)


def mean(result: Evaluation, *names: str) -> float:
    value = result.value(*names)
    assert value is not None, names
    return value.mean


def test_every_measure_has_its_baselines(untrained: Evaluation) -> None:
    by_measure: dict[tuple[str, str], set[str]] = {}
    for score in untrained.scores:
        by_measure.setdefault((score.table, score.measure), set()).add(score.source)
    stand_ins = {"drawn", "reconstruction", "nearest training picture", "caption retrieval", "random picture"}
    for name in ("base_recall", "style_swap", "tone_swap", "gender_swap", "psnr"):
        assert by_measure["pictures", name] >= stand_ins
    assert by_measure["pictures", "base_recall"] >= {"real"}
    assert by_measure["pictures", "tone_swap"] >= {"real", "blind guess"}
    assert by_measure["likelihood", "nats_per_token"] == {"with its caption", "with no caption", "all codes alike"}
    assert len(by_measure["reconstruction", "psnr"]) == 3
    assert by_measure["free text", "top_5"] == {"drawn", "caption retrieval", "random picture"}
    assert not any(score.measure == "caption_recall" for score in untrained.scores)


def test_an_untrained_pipeline_is_no_better_than_chance(untrained: Evaluation) -> None:
    assert mean(untrained, "pictures", "train", "all", "drawn", "base_recall") < 0.4
    assert mean(untrained, "pictures", "train", "all", "drawn", "psnr") < 15
    assert mean(untrained, "likelihood", "cell", "all", "with its caption", "nats_per_token") > 4


def test_a_perfect_painter_is_perfect(perfect: Evaluation) -> None:
    for name in ("base_recall", "style_swap", "tone_swap", "gender_swap", "caption_recall"):
        for split in ("train", "dev", "cell"):
            value = perfect.value("pictures", split, "all", "drawn", name)
            assert value is None or value.mean == 1, (split, name)
    assert mean(perfect, "pictures", "cell", "all", "random picture", "caption_recall") < 0.5
    assert mean(perfect, "pictures", "cell", "all", "reconstruction", "caption_recall") == 0
    copied = mean(perfect, "pictures", "cell", "all", "nearest training picture", "psnr")
    lead = mean(perfect, "pictures", "cell", "all", "drawn minus nearest training", "psnr")
    assert lead == pytest.approx(60 - copied)
    assert perfect.value("pictures", "cell", "all", "real", "psnr") is None  # to itself it says nothing


def test_retrieval_understands_the_words_it_knows(perfect: Evaluation) -> None:
    assert mean(perfect, "free text", "prompts", "name", "caption retrieval", "top_1") == 1
    value = perfect.value("free text", "prompts", "all", "drawn", "top_5")
    assert value is not None
    assert value.rows == 8  # two prompts with four seeds


def test_who_comes_out_worse_is_told_apart(pipeline: TextToImage, perfect: Evaluation) -> None:
    found = groups(PICTURES)
    assert set(found) == {"tone: light", "tone: dark", "gender: man", "gender: woman", "style: noto", "style: fluent"}
    assert not (found["tone: light"] & found["tone: dark"]).any()
    assert (found["gender: man"] == (PICTURES.columns["gender"] == "man") & (PICTURES.columns["tone"] != "")).all()
    held_out = PICTURES.splits != "train"
    counted = perfect.value("groups", "held out", "style: noto", "reconstruction", "psnr")
    assert counted is not None
    assert counted.rows == (held_out & (PICTURES.columns["style"] == "noto")).sum()

    def blind_to_dark(captions: list[str], seeds: list[int]) -> Tensor:
        return draw_real([caption.replace("dark", "light") for caption in captions], seeds)

    unfair = evaluate(pipeline, PICTURES, blind_to_dark, most=None)
    right = {
        tone: mean(unfair, "groups", "held out", f"tone: {tone}", "drawn", "tone_swap") for tone in ("light", "dark")
    }
    assert right == {"light": 1, "dark": 0}


def test_parts_are_told_apart_and_add_up(perfect: Evaluation) -> None:
    groups = parts(PICTURES)
    role = PICTURES.columns["role"]
    assert set(role[groups["people"]]) == {*PEOPLE, "grinning face"}
    assert (groups["toned"] ^ groups["objects"]).all()
    assert (groups["people"] ^ groups["things"]).all()
    rows = {part: perfect.value("pictures", "train", part, "drawn", "psnr") for part in groups}
    assert all(value is not None and value.rows < 53 for part, value in rows.items() if part != "all")
    counts = {part: value.rows for part, value in rows.items() if value}
    assert counts["all"] == counts["toned"] + counts["objects"] == counts["people"] + counts["things"] == 48


def test_a_part_that_is_the_whole_split_is_left_out_and_the_time_is_told(pipeline: TextToImage) -> None:
    splits = np.where(PICTURES.columns["tone"] == "", "train", "dev")
    world, began = CaptionedPictures(PICTURES.captions, PICTURES.pictures, splits, PICTURES.columns), time.monotonic()
    result = evaluate(pipeline, world, draw_real, most=None)
    assert 0 < len(result.rows) / result.drawn_per_second < result.seconds <= time.monotonic() - began
    measured = {(score.split, score.part) for score in result.scores if score.table == "pictures"}
    assert measured == {("train", "all"), ("train", "people"), ("train", "things"), ("dev", "all")}


def test_people_are_roles_of_any_tone_or_gender_and_faces() -> None:
    names = {
        "role": ["elf", "elf", "fairy", "fairy", "pig face", "surface"],
        "tone": ["dark", "", "", "", "", ""],
        "gender": ["", "", "woman", "", "", ""],
    }
    world = CaptionedPictures(list("abcdef"), PICTURES.pictures[:6], np.array(["train"] * 6),
                              {name: np.array(column) for name, column in names.items()})  # fmt: skip
    assert parts(world)["people"].tolist() == [True] * 5 + [False]
    assert parts(world)["toned"].tolist() == [True] + [False] * 5


def test_rows_are_fixed_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(some_rows(PICTURES, "train", 9), some_rows(PICTURES, "train", None)[:9])
    assert len(rows_of_splits(PICTURES, 4)) == 4 + 3 + 4
    monkeypatch.setattr("minidalle.evaluation.parts.MOST_OF_TRAIN", 20)
    assert len(rows_of_splits(PICTURES, None)) == 20 + 3 + 5
    with pytest.raises(InvalidValue, match="most=0: expected 1 or more, or None for all rows"):
        some_rows(PICTURES, "train", 0)
    dropped = CaptionedPictures(["a"], PICTURES.pictures[:1], np.array(["dropped"]))
    with pytest.raises(InvalidValue, match=r"splits=\['dropped'\]: expected one of train, dev"):
        rows_of_splits(dropped, 4)


def test_pictures_do_not_depend_on_batches_or_on_other_rows(
    pipeline: TextToImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, rows = partial(pipeline.draw, sampling=SAMPLING), np.array([3, 1, 4, 40, 5])
    whole = drawing.draw_rows(draw, rows, PICTURES)
    monkeypatch.setattr(drawing, "BATCH", 2)
    assert np.abs(whole.astype(int) - drawing.draw_rows(draw, rows, PICTURES)).max() <= 1
    assert np.abs(whole[3:].astype(int) - drawing.draw_rows(draw, rows[3:], PICTURES)).max() <= 1
    assert not np.array_equal(whole, drawing.draw_rows(draw, rows, PICTURES, seed=1))
    seeds: list[int] = []
    drawing.draw_rows(lambda captions, own: (seeds.extend(own), draw_real(captions, own))[1], rows, PICTURES)
    assert len(set(seeds)) == len(rows)


def test_data_without_columns_are_measured_too(pipeline: TextToImage) -> None:
    plain = make_pictures(columns=False)
    draw = partial(pipeline.draw, sampling=SAMPLING)
    result = evaluate(pipeline, plain, draw, most=3)
    assert {score.part for score in result.scores} == {"all"}
    measured = {score.measure for score in result.scores if score.table == "pictures"}
    assert measured == {"base_recall", "psnr"}
    with pytest.raises(InvalidValue, match="prompts=2: expected none: the data has no roles"):
        evaluate(pipeline, plain, draw, most=3, prompts=PROMPTS)


def test_pictures_of_another_size_are_refused(pipeline: TextToImage) -> None:
    small = CaptionedPictures(PICTURES.captions, PICTURES.pictures[:, ::2, ::2], PICTURES.splits)
    with pytest.raises(InvalidValue, match="pictures='8×8': expected 16×16, the pipeline's size"):
        evaluate(pipeline, small, draw_real)


def test_the_short_evaluation_agrees_with_the_long_one(pipeline: TextToImage, perfect: Evaluation) -> None:
    scores = {score.split: score for score in score_splits(pipeline, PICTURES, draw_real)}
    assert list(scores) == ["train", "dev", "cell"]
    for split, score in scores.items():
        assert score.psnr == pytest.approx(mean(perfect, "reconstruction", split, "all", "reconstruction", "psnr"))
        nats = mean(perfect, "likelihood", split, "all", "with its caption", "nats_per_token")
        assert score.nats == pytest.approx(nats, rel=1e-5)
        assert score.base_recall == 1
        copied = mean(perfect, "pictures", split, "all", "nearest training picture", "base_recall")
        assert score.copied_recall == pytest.approx(copied)
    assert scores["dev"].nats_toned is not None


def test_sheets_show_what_was_measured(untrained: Evaluation) -> None:
    pages = sheets(untrained, PICTURES)
    assert set(pages) == {"train", "dev", "cell", "worst", "prompts"}
    for name, picture in pages.items():
        assert picture.dtype == np.uint8, name
        assert picture.std() > 20
    real = np.repeat(np.repeat(PICTURES.pictures[untrained.rows[0]], 6, 0), 6, 1)
    assert np.array_equal(pages["train"][12 : 12 + 96, 162 : 162 + 96], real)  # top left, after gap and margin
    held_out = np.flatnonzero(PICTURES.splits[untrained.rows] != "train")
    worst = untrained.shown["drawn"][held_out[untrained.psnr[held_out].argmin()]]
    drawn = slice(12 + 2 * 102, 12 + 2 * 102 + 96)  # the third of each column
    assert np.array_equal(pages["worst"][drawn, 162 : 162 + 96], np.repeat(np.repeat(worst, 6, 0), 6, 1))
    two = page([PICTURES.pictures[:3], PICTURES.pictures[3:6]], ["first", "second"], ["a", "b", "c"], columns=2)
    assert np.array_equal(
        two[12 + 102 : 12 + 198, 162 : 162 + 96], np.repeat(np.repeat(PICTURES.pictures[3], 6, 0), 6, 1)
    )


def test_the_command_writes_tables_figures_and_pages(
    pipeline: TextToImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    pipeline.save(run)
    (run / "run.json").write_text(json.dumps({"preset": {"sampling": {"temperature": 0.5}}}), encoding="utf-8")
    monkeypatch.setattr(command, "open_pictures", lambda source, size: PICTURES)
    monkeypatch.setattr(command, "load_prompts", lambda: PROMPTS)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "nothing")
    monkeypatch.setattr(command, "MOST", 4)
    command.evaluate_run(run, None, False, 1, "cpu")
    printed = capsys.readouterr().out
    for words in (
        "What the pictures show",
        "nearest training picture",
        "rows per second",
        "there is no scorer",
        "Who comes out worse",
    ):
        assert words in printed
    written = load_json(run / "evaluation" / "evaluation.json")
    assert written["settings"]["rows"] == 11
    record = next(x for x in written["scores"] if (x["split"], x["measure"]) == ("cell", "base_recall"))
    assert set(record) == {"table", "split", "part", "source", "measure", "mean", "low", "high", "rows"}
    for name in ("train", "cell", "worst", "prompts"):
        assert np.asarray(Image.open(run / "evaluation" / f"{name}.png")).std() > 10
    with pytest.raises(InvalidValue, match=r"--candidates=2: expected 1, for .* has no reranker"):
        command.evaluate_run(run, tmp_path / "out", False, 2, "cpu")
    with pytest.raises(InvalidValue, match="--run=None: expected the folder of a finished run"):
        command.evaluate_run(None, tmp_path / "out", False, 1, "cpu")
