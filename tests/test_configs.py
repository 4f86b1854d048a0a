"""Every config refuses, by name, what is of another kind than a field is declared to have, and takes what is right."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from minidalle.bart import BartConfig
from minidalle.clip import ClipConfig
from minidalle.data.config import DataConfig
from minidalle.errors import InvalidValue
from minidalle.presets import DALLE_MINI, RERANKER, SHIPPED
from minidalle.sampling_config import SamplingConfig
from minidalle.vqgan import VQGANConfig

CONFIGS = {
    type(config).__name__: config
    for config in (
        SHIPPED.tokenizer,
        SHIPPED.vqgan,
        SHIPPED.bart,
        SHIPPED.sampling,
        SHIPPED.training,
        SHIPPED.training.vqgan,
        SHIPPED.training.vqgan.discriminator,
        SHIPPED.training.bart,
        RERANKER.clip,
        RERANKER.training,
        DataConfig("pictures"),
    )
}


@pytest.mark.parametrize(
    ("config", "field"), [(name, field.name) for name, config in CONFIGS.items() for field in fields(config)]
)
def test_something_that_is_no_value_is_refused_by_name(config: str, field: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{field}=<object"):
        replace(CONFIGS[config], **{field: object()})


@pytest.mark.parametrize(
    ("config", "field", "value", "expected"),
    [
        ("SamplingConfig", "top_k", 2.5, "top_k=2.5: expected a whole number or None"),
        ("SamplingConfig", "top_k", True, "top_k=True: expected a whole number or None"),
        ("SamplingConfig", "temperature", "1", "temperature='1': expected a number"),
        ("BartConfig", "width", 8.0, "width=8.0: expected a whole number"),
        ("BartConfig", "tied", "no", "tied='no': expected True or False"),
        ("BartConfig", "norm", None, "norm=None: expected text"),
        ("VQGANConfig", "image_size", "32", "image_size='32': expected a whole number"),
        ("VQGANConfig", "multipliers", 4, "multipliers=4: expected several values, each a whole number"),
        ("VQGANConfig", "multipliers", [1, 2.0], r"multipliers=\(1, 2.0\): expected several values, each a whole"),
        ("ClipConfig", "blocks", "111", "blocks='111': expected several values"),
        ("BartTraining", "steps", 100.0, "steps=100.0: expected a whole number"),
        ("BartTraining", "betas", (0.9,), r"betas=\(0.9,\): expected two decays"),
        ("BartTraining", "decay", "lin", "decay='lin': expected cosine or linear"),
        ("TrainingConfig", "vqgan", SHIPPED.training.bart, r"vqgan=BartTraining.*: expected a VQGANTraining$"),
    ],
)
def test_what_is_of_another_kind_is_refused(config: str, field: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{expected}"):
        replace(CONFIGS[config], **{field: value})


@pytest.mark.parametrize("config", [SHIPPED.vqgan, DALLE_MINI.vqgan, SHIPPED.bart, DALLE_MINI.bart, RERANKER.clip])
def test_a_config_comes_back_from_json(config: VQGANConfig | BartConfig | ClipConfig) -> None:
    assert type(config)(**json.loads(json.dumps(asdict(config)))) == config


def test_whole_numbers_are_numbers_and_numpy_has_some_too() -> None:
    assert SamplingConfig(temperature=1, top_k=np.int64(3), top_p=np.float32(0.5)).top_k == 3  # type: ignore[arg-type]
    assert replace(SHIPPED.training.bart, betas=[0, 0.9]).betas == [0, 0.9]  # type: ignore[arg-type]
