"""Distances, fidelity and siblings, against loops that anybody can read; each measure can succeed and can fail."""

import numpy as np
import pytest
import torch
from evaluation_world import make_pictures

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import InvalidValue
from minidalle.evaluation import distances as distances_module
from minidalle.evaluation import fidelity as fidelity_module
from minidalle.evaluation.distances import pixel_distances
from minidalle.evaluation.fidelity import fidelity, swap_chances
from minidalle.evaluation.siblings import attributes, siblings

PICTURES = make_pictures()
ROWS = np.arange(len(PICTURES))
REAL = PICTURES.pictures


def loop_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Sums of whole numbers, then one division."""
    return np.array(
        [[np.square(a.astype(np.int64) - b.astype(np.int64)).sum() for b in others] for a in some]
    ) / (255**2 * some[0].size)  # fmt: skip


def test_distances_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances_module, "PART", 7)
    assert pixel_distances(REAL[:5], REAL).numpy() == pytest.approx(loop_distances(REAL[:5], REAL), abs=1e-15)


def test_distances_are_exact_where_pictures_are_large_or_alike() -> None:
    chance = np.random.default_rng(0)
    picture = chance.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    close = np.repeat(picture, 3, 0)
    close[1, 0, 0, 0] ^= 1
    close[2, 5, 5, 1] ^= 1
    far = pixel_distances(picture, close)[0]
    assert far[0] == 0
    assert far[1] == far[2] == 1 / (255**2 * 64 * 64 * 3)  # a tie to the last bit


def test_distances_need_pictures_of_one_size() -> None:
    with pytest.raises(InvalidValue, match=r"pictures=\(1, 8, 8, 3\): expected \[B, 16, 16, 3\]"):
        pixel_distances(np.zeros((1, 8, 8, 3), np.uint8), REAL)


def test_the_real_picture_passes_everything() -> None:
    measured = fidelity(REAL, ROWS, PICTURES)
    assert set(measured) == {"base_recall", "psnr", "style_swap", "tone_swap", "gender_swap"}
    assert (measured.pop("psnr") == 60).all()
    assert all((values[~np.isnan(values)] == 1).all() for values in measured.values())
    assert np.isnan(measured["tone_swap"]).tolist() == (PICTURES.columns["gender"] == "").tolist()


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    shown = chance.permutation(REAL)
    whole = fidelity(shown, ROWS, PICTURES)
    monkeypatch.setattr(fidelity_module, "BATCH", 5)
    parts = fidelity(shown, ROWS, PICTURES)
    assert all(np.array_equal(whole[name], parts[name], equal_nan=True) for name in whole)


def test_shuffled_pictures_pass_by_chance_only() -> None:
    chance = np.random.default_rng(2)
    draws = [fidelity(REAL[chance.permutation(len(REAL))], ROWS, PICTURES) for _ in range(60)]
    guess = swap_chances(ROWS, PICTURES)
    roles = PICTURES.columns["role"]
    expected = {name: np.nanmean(values) for name, values in guess.items()}
    expected["base_recall"] = (roles[:, None] == roles).mean()
    for name, value in expected.items():
        assert np.nanmean([draw[name] for draw in draws]) == pytest.approx(value, abs=0.04)


@pytest.mark.parametrize("attribute", ["style", "tone", "gender"])
def test_a_siblings_picture_fails_its_swap_alone(attribute: str) -> None:
    mask = siblings(attributes(PICTURES), ROWS)[attribute]
    rows = ROWS[mask.any(1).numpy()]
    measured = fidelity(REAL[mask[rows].double().argmax(1)], rows, PICTURES)
    assert measured[f"{attribute}_swap"].max() == 0
    assert measured["base_recall"].min() == 1
    assert measured["psnr"].max() < 60
    others = {"style", "tone", "gender"} - {attribute}
    assert all(np.nanmin(measured[f"{other}_swap"]) == 1 for other in others)


def test_siblings_differ_in_one_thing() -> None:
    found = siblings(attributes(PICTURES), ROWS)
    rows = list(zip(*(PICTURES.columns[name] for name in ("role", "style", "tone", "gender")), strict=True))
    for place, attribute in enumerate(("style", "tone", "gender"), start=1):
        wanted = [
            [a != b and [x == y for x, y in zip(a, b, strict=True)].count(False) == 1 and a[place] != b[place]
             for b in rows]
            for a in rows
        ]  # fmt: skip
        assert found[attribute].tolist() == wanted
    assert swap_chances(ROWS[:1], PICTURES)["tone_swap"] == pytest.approx(1 / 3)


def test_of_equally_near_pictures_one_that_is_right_is_enough() -> None:
    copied = REAL.copy()
    pear, apple = (int(np.flatnonzero(PICTURES.columns["role"] == role)[0]) for role in ("pear", "apple"))
    copied[pear] = copied[apple]
    world = CaptionedPictures(PICTURES.captions, copied, PICTURES.splits, PICTURES.columns)
    assert fidelity(copied[[apple]], np.array([pear]), world)["base_recall"] == 1
    assert fidelity(copied[[apple]], np.array([apple]), world)["base_recall"] == 1
    assert fidelity(copied[[0]], np.array([apple]), world)["base_recall"] == 0


def test_a_sibling_that_is_equally_near_is_no_failure() -> None:
    copied = REAL.copy()
    copied[1] = copied[0]  # man and woman are one drawing, as they sometimes are
    world = CaptionedPictures(PICTURES.captions, copied, PICTURES.splits, PICTURES.columns)
    assert fidelity(copied[[0, 0]], np.array([0, 1]), world)["gender_swap"].tolist() == [1, 1]


def test_data_without_roles_go_by_their_captions() -> None:
    plain = make_pictures(columns=False)
    measured = fidelity(REAL, ROWS, plain)
    assert set(measured) == {"base_recall", "psnr"}
    assert measured["base_recall"].all()
    assert not fidelity(np.roll(REAL, 1, 0), ROWS, plain)["base_recall"].any()
    assert swap_chances(ROWS, plain) == {}


def test_psnr_is_the_formula() -> None:
    shown = np.clip(REAL[:3].astype(int) + 10, 0, 255).astype(np.uint8)
    error = ((shown.astype(float) - REAL[:3]) / 255) ** 2
    wanted = -10 * np.log10(error.reshape(3, -1).mean(1))
    assert fidelity(shown, ROWS[:3], PICTURES)["psnr"] == pytest.approx(wanted)


def test_a_picture_for_every_row() -> None:
    with pytest.raises(InvalidValue, match="shown='2 pictures': expected one for each of the 3 rows"):
        fidelity(REAL[:2], ROWS[:3], PICTURES)
    with pytest.raises(InvalidValue, match="rows=0: expected 1 or more"):
        fidelity(REAL[:0], ROWS[:0], PICTURES)


def test_nothing_is_changed() -> None:
    before = REAL.copy()
    fidelity(REAL, ROWS, PICTURES)
    assert torch.equal(torch.from_numpy(before), torch.from_numpy(REAL))
