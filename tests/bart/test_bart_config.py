"""Configs: the published sizes, exactly, and clear errors for impossible ones."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from bart_models import PUBLISHED, SIZES

from minidalle.bart import Bart, BartConfig
from minidalle.errors import InvalidValue

DALLE = {**PUBLISHED, "text_length": 64, "image_codes": 16384, "image_length": 256}
MINI = BartConfig(**DALLE, text_vocab=50264, width=1024, heads=16, hidden=2730, encoder_layers=12, decoder_layers=12)
MEGA = BartConfig(
    **{**DALLE, "image_extra": 32, "text_vocab": 50272, "width": 2048, "heads": 32, "hidden": 4096},
    encoder_layers=24,
    decoder_layers=24,
)
BART_BASE = BartConfig(
    text_vocab=50265,
    text_length=1024,
    image_codes=50265,
    image_extra=0,
    start=2,
    image_length=1024,
    width=768,
    heads=12,
    hidden=3072,
    encoder_layers=6,
    decoder_layers=6,
    norm="post",
    embedding_norm=True,
    bias=True,
    tied=True,
    positions="absolute",
    position_offset=2,
)
SMALL = BartConfig(
    text_vocab=1024,
    text_length=32,
    image_codes=512,
    image_length=64,
    width=192,
    heads=3,
    hidden=768,
    encoder_layers=2,
    decoder_layers=3,
)


def parameters(config: BartConfig) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in Bart(config).parameters())


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (MINI, 437_833_712),
        (dataclasses.replace(MINI, scale_before_linear=True), 437_962_720),
        (MEGA, 2_587_521_024),
        (dataclasses.replace(MEGA, scale_before_linear=True), 2_587_967_488),
        (BART_BASE, 139_420_416),
        (SMALL, 3_062_784),
    ],
    ids=["mini", "mini, all scales", "mega", "mega, all scales", "classic base", "small"],
)
def test_the_number_of_parameters(config: BartConfig, count: int) -> None:
    assert parameters(config) == count


def test_the_draft_adds_its_own_parameters_only() -> None:
    added = parameters(dataclasses.replace(SMALL, draft_width=32)) - parameters(SMALL)
    assert added == (192 + 1) * 64 * 32 + (32 + 1) * (192 + 3 + 512)


def test_the_start_token_is_the_first_id_after_the_codebook_unless_said() -> None:
    assert (MINI.start_token, MINI.image_vocab) == (16384, 16385)
    assert (MEGA.start_token, MEGA.image_vocab) == (16384, 16416)
    assert BART_BASE.start_token == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text_vocab", 0),
        ("image_length", 15),
        ("heads", 5),
        ("decoder_layers", 0),
        ("image_extra", -1),
        ("norm", "rms"),
        ("positions", "rotary"),
        ("start", 17),
        ("start", -1),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("draft_width", -1),
    ],
)
def test_an_impossible_value_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidValue, match=rf"{field}={value!r}: expected"):
        BartConfig(**{**SIZES, field: value})


def test_a_codebook_without_a_start_token_is_refused() -> None:
    with pytest.raises(InvalidValue, match="start=None"):
        BartConfig(**SIZES, image_extra=0)


def test_tied_vocabularies_must_be_of_one_size() -> None:
    with pytest.raises(InvalidValue, match="text_vocab=37"):
        BartConfig(**SIZES, tied=True)


def test_configs_need_no_torch() -> None:
    code = "import sys; from minidalle.bart import config; from minidalle import sampling_config; "
    code += "config.BartConfig; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
