"""The weights that are shipped: small, half precision, licensed, and good enough to draw from at once."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import minidalle
from minidalle.cli.drawing import draw_captions, judge_of
from minidalle.data import emoji_pictures
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import to_pixels
from minidalle.evaluation.drawing import draw_rows
from minidalle.evaluation.fidelity import fidelity
from minidalle.evaluation.parts import some_rows
from minidalle.evaluation.reconstruction import likeness, reconstruct
from minidalle.pipeline import SHIPPED, TextToImage
from minidalle.presets import PRESETS
from minidalle.sampling_config import SamplingConfig

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(minidalle.__file__).parent


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return minidalle.load()


@pytest.fixture(scope="module")
def pictures() -> CaptionedPictures:
    return emoji_pictures(32)


def test_they_are_those_of_the_preset(pipeline: TextToImage) -> None:
    preset = PRESETS["shipped"]
    assert pipeline.vqgan.config == preset.vqgan
    assert pipeline.bart.config == preset.bart
    assert pipeline.tokenizer.config == preset.tokenizer
    assert all(torch.isfinite(parameter).all() for parameter in pipeline.bart.parameters())


def test_every_file_is_safetensors_or_json_in_half_precision_and_small() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    for path in files:
        if path.suffix == ".safetensors":
            kinds = {tensor.dtype for tensor in load_file(path).values()}
            assert torch.float16 in kinds
            assert torch.float32 not in kinds
    data = [path for path in (PACKAGE / "data").iterdir() if path.suffix in (".parquet", ".csv")]
    assert sum(path.stat().st_size for path in files + data) < 40e6


def test_judges_are_two_and_different() -> None:
    reranker, scorer = (judge_of(SHIPPED, name, torch.device("cpu")) for name in ("reranker", "scorer"))
    assert reranker is not None
    assert scorer is not None
    one, other = (judge.image_vectors(torch.zeros(1, 3, 32, 32)).flatten() for judge in (reranker, scorer))
    assert one.shape != other.shape or not torch.allclose(one, other)


def test_what_is_kept_of_a_picture(pipeline: TextToImage, pictures: CaptionedPictures) -> None:
    held_out = np.concatenate([some_rows(pictures, split, 40) for split in ("iid", "cell", "tone", "combo", "concept")])
    real = pictures.pictures[held_out]
    assert likeness(reconstruct(pipeline, real)[0], real)["psnr"].mean() > 24.2


def test_people_come_out_whom_training_never_had(pipeline: TextToImage, pictures: CaptionedPictures) -> None:
    rows = some_rows(pictures, "tone", 64)
    drawn = draw_rows(pipeline.draw, rows, pictures)
    assert fidelity(drawn, rows, pictures)["base_recall"].mean() >= 0.9


def test_generate_draws_at_once_and_offline(tmp_path: Path) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "minidalle", "generate", "red apple, noto style", "-n", "8", "--out", "a.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert time.monotonic() - began < 60  # under 10 s on two quiet cores; a busy machine gets time


def test_python_draws_what_generate_draws(pipeline: TextToImage, tmp_path: Path) -> None:
    captions, seeds = ["cat face, openmoji style"] * 3, range(3)
    draw_captions(captions[:1], 3, {}, 0, 1, None, tmp_path, "cpu")
    names = [f"cat-face-openmoji-style-{seed}.png" for seed in seeds]
    generated = np.stack([np.asarray(Image.open(tmp_path / name)) for name in names])
    assert np.array_equal(to_pixels(pipeline.draw(captions, seeds)), generated)
    assert not np.array_equal(to_pixels(pipeline.draw(captions, seeds, SamplingConfig())), generated)


def test_the_model_card_names_their_license_and_they_draw_as_the_preset_says(pipeline: TextToImage) -> None:
    card = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert "CC BY-SA 4.0" in card
    assert pipeline.sampling == PRESETS["shipped"].sampling
