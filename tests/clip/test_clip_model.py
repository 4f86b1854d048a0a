"""The two towers: vectors of length 1, padding that does not matter, places that do, a temperature with a limit."""

import math
from dataclasses import replace

import pytest
import torch

from minidalle.clip import Clip, ClipConfig
from minidalle.errors import InvalidValue

SMALL = ClipConfig(
    text_vocab=300, text_length=12, image_size=16, width=16, heads=2, hidden=32, channels=8,
    multipliers=(1, 2), blocks=(1, 1), features=4, joint=8,
)  # fmt: skip


def clip(config: ClipConfig = SMALL) -> Clip:
    torch.manual_seed(0)
    return Clip(config).eval()


def captions(rows: int = 5, length: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    text = torch.randint(5, 300, (rows, length))
    return text, torch.arange(length) < torch.arange(2, 2 + rows)[:, None]


def test_vectors_have_length_one() -> None:
    model, (text, mask) = clip(), captions()
    images, texts, scale = model(text, mask, torch.rand(5, 3, 16, 16))
    for vectors in (images, texts):
        assert vectors.shape == (5, 8)
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    assert scale.item() == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("size", [32, 64])
def test_pictures_of_32_and_64(size: int) -> None:
    levels = (1, 2, 2) if size == 32 else (1, 2, 2, 2)
    model = clip(replace(SMALL, image_size=size, multipliers=levels, blocks=(1,) * len(levels)))
    assert model.encode_image(torch.rand(2, 3, size, size)).shape == (2, 8)
    assert model.config.image.grid == 4


def test_padding_does_not_matter_but_every_real_token_and_its_place_do() -> None:
    model, (text, mask) = clip(), captions()
    vectors = model.encode_text(text, mask)
    other = torch.where(mask, text, 7)
    torch.testing.assert_close(model.encode_text(other, mask), vectors)
    torch.testing.assert_close(model.encode_text(text[:2, :3], mask[:2, :3]), vectors[:2])
    changed, swapped = text.clone(), text.clone()
    changed[:, 1] = text[:, 1] % 290 + 6
    swapped[:, :2] = text[:, [1, 0]]
    for some in (changed, swapped):
        assert (model.encode_text(some, mask) - vectors).norm(dim=1).min() > 1e-3


def test_left_and_right_stay_apart() -> None:
    model, pictures = clip(), torch.rand(4, 3, 16, 16)
    vectors = model.encode_image(pictures)
    assert (model.encode_image(pictures.flip(3)) - vectors).norm(dim=1).min() > 1e-2
    torch.testing.assert_close(torch.cat([model.encode_image(picture[None]) for picture in pictures]), vectors)


def test_the_temperature_has_a_limit() -> None:
    model = clip()
    with torch.no_grad():
        model.log_scale.fill_(math.log(90.0))
        assert model.scale().item() == pytest.approx(90.0, rel=1e-5)
        model.log_scale.fill_(7.0)
    assert model.scale().item() == pytest.approx(100.0, rel=1e-5)


def test_dropout_is_for_training_only() -> None:
    model, (text, mask) = clip(replace(SMALL, dropout=0.5)), captions()
    assert torch.equal(model.encode_text(text, mask), model.encode_text(text, mask))
    model.train()
    assert not torch.equal(model.encode_text(text, mask), model.encode_text(text, mask))


def test_every_weight_moves_a_vector() -> None:
    model, (text, mask) = clip(), captions()
    with torch.no_grad():
        for weight in model.parameters():  # some start at 0, and then what goes through them counts for nothing
            weight.add_(0.1 * torch.randn_like(weight))
    images, texts, scale = model(text, mask, torch.rand(5, 3, 16, 16))
    (scale * images * texts).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_vectors_keep_their_digits_under_autocast() -> None:
    model, (text, mask) = clip(), captions()
    with torch.autocast("cpu", torch.bfloat16):
        images, texts, _ = model(text, mask, torch.rand(5, 3, 16, 16))
    for vectors in (images, texts):
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


def test_a_config_comes_back_from_json_with_its_tuples() -> None:
    assert ClipConfig(**{**vars(SMALL), "multipliers": [1, 2], "blocks": [1, 1]}) == SMALL


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("joint", 0, "joint=0: expected at least 1"),
        ("heads", 3, "heads=3: expected a divisor of width=16"),
        ("text_vocab", 0, "text_vocab=0: expected at least 1"),
        ("layers", 0, "layers=0: expected at least 1"),
        ("dropout", 1.0, "dropout=1.0: expected"),
        ("image_size", 18, "image_size=18: expected a multiple of 4"),
        ("features", 0, "features=0: expected at least 1"),
        ("blocks", (1,), r"blocks=\(1,\): expected a number for each of 2 levels"),
    ],
)
def test_a_bad_field_is_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{expected}"):
        replace(SMALL, **{field: value})


def test_what_does_not_fit_is_refused() -> None:
    model, (text, mask) = clip(), captions(length=13)
    with pytest.raises(InvalidValue, match="text tokens=13: expected at most 12"):
        model.encode_text(text, mask)
    with pytest.raises(InvalidValue, match=r"pictures=\(1, 3, 8, 8\): expected \[B, 3, 16, 16\]"):
        model.encode_image(torch.rand(1, 3, 8, 8))
    with pytest.raises(InvalidValue, match=r"pictures=torch.uint8: expected floats in \[0, 1\]"):
        model.encode_image(torch.ones(1, 3, 16, 16, dtype=torch.uint8))
