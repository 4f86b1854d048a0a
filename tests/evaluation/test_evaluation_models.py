"""Reconstruction and likelihood, against closed forms and against the models called directly."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from evaluation_world import make_pictures, make_pipeline

from minidalle.bart.sequences import shift_right
from minidalle.data.pixels import to_floats, to_pixels
from minidalle.data.tokens import cell_colors
from minidalle.evaluation import reconstruction
from minidalle.evaluation.likelihood import picture_nats
from minidalle.evaluation.reconstruction import cell_means, likeness, reconstruct
from minidalle.pipeline import TextToImage

PICTURES = make_pictures()
REAL = PICTURES.pictures
CAPTIONS = PICTURES.captions


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return make_pipeline()


def test_equal_pictures_are_alike() -> None:
    measured = likeness(REAL, REAL)
    assert (measured["psnr"] == 60).all()
    assert measured["ssim"] == pytest.approx(1, abs=1e-5)
    assert (measured["l1"] == 0).all()


def test_a_constant_offset_has_a_closed_form() -> None:
    gray = np.full((2, 16, 16, 3), 100, np.uint8)
    measured = likeness(gray + np.uint8(51), gray)
    assert measured["l1"] == pytest.approx(0.2)
    assert measured["psnr"] == pytest.approx(-10 * math.log10(0.04), rel=1e-5)
    x, y = 151 / 255, 100 / 255
    assert measured["ssim"] == pytest.approx((2 * x * y + 1e-4) / (x * x + y * y + 1e-4), abs=1e-3)


def test_shuffled_pictures_are_not_alike() -> None:
    measured, shuffled = likeness(REAL, REAL), likeness(np.roll(REAL, 13, 0), REAL)
    assert (shuffled["psnr"] < 20).all()
    assert (shuffled["ssim"] < measured["ssim"]).all()


def test_reconstruct_is_encode_then_decode(pipeline: TextToImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, "BATCH", 6)
    again, tokens = reconstruct(pipeline, REAL[:8])
    with torch.no_grad():
        wanted = pipeline.vqgan.encode(to_floats(REAL[:8]))
        assert torch.equal(tokens, wanted)
        difference = again.astype(int) - to_pixels(pipeline.vqgan.decode(wanted))
    assert np.abs(difference).max() <= 1  # sums in another order


def test_cell_means_have_the_cells_mean_color() -> None:
    flat = cell_means(REAL, 4)
    assert flat.shape == REAL.shape
    assert torch.allclose(cell_colors(to_floats(flat), 16), cell_colors(to_floats(REAL), 16), atol=0.51 / 255)
    assert (flat.reshape(-1, 4, 4, 4, 4, 3).std((2, 4)) == 0).all()
    assert np.array_equal(cell_means(REAL, 16), REAL)


def test_nats_are_the_cross_entropy_of_the_bart(pipeline: TextToImage) -> None:
    found = picture_nats(pipeline, CAPTIONS[:6], REAL[:6])
    text, mask = pipeline.encode_text(CAPTIONS[:6])
    with torch.no_grad():
        image = pipeline.vqgan.encode(to_floats(REAL[:6]))
        logits = pipeline.bart(text, mask, shift_right(image, pipeline.bart.config.start_token))
        wanted = F.cross_entropy(logits.transpose(1, 2), image, reduction="none").sum(1)
    assert found["with its caption"]["nats_per_picture"] == pytest.approx(wanted.numpy(), rel=1e-4)
    for measures in found.values():
        assert measures["nats_per_token"] * 16 == pytest.approx(measures["nats_per_picture"])
    assert found["all codes alike"]["nats_per_token"] == pytest.approx(math.log(64))


def test_without_a_caption_no_caption_matters(pipeline: TextToImage) -> None:
    right, wrong = (picture_nats(pipeline, captions, REAL[:6]) for captions in (CAPTIONS[:6], CAPTIONS[40:46]))
    for source, same in (("with no caption", True), ("with its caption", False)):
        values = (nats[source]["nats_per_picture"] for nats in (right, wrong))
        assert np.allclose(*values, rtol=1e-6) == same
