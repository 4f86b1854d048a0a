"""Temperature scaling: the temperature is the one that SciPy finds, and nothing but the logits' size changes."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from apple_gpu import OnApple
from scipy.optimize import minimize_scalar
from torch import Tensor
from training_recipes import squares, tiny

from minidalle.bart import Bart, BartConfig
from minidalle.checkpoint import load_model
from minidalle.data.tokens import TokenizedPictures
from minidalle.errors import InvalidValue
from minidalle.training import calibration, stages
from minidalle.training.bart import row_logits, row_nats
from minidalle.training.calibration import calibrate
from minidalle.training.distributed import Ranks

ROWS = np.arange(40)


def world(confidence: float) -> tuple[Bart, TokenizedPictures]:
    """A random BART, more or less sure of itself, and pictures that follow its predictions at temperature 1.5."""
    torch.manual_seed(0)
    bart = Bart(replace(tiny().bart, draft_width=0)).eval()
    bart.get_parameter("decoder.head.weight").data.mul_(confidence)
    text = torch.randint(5, 100, (len(ROWS), 6))
    image = torch.randint(0, 64, (len(ROWS), 16))
    tokens = TokenizedPictures(text, torch.ones_like(text, dtype=torch.bool), image, torch.zeros(len(ROWS), 16, 3))
    for place in range(16):  # one token after the other, as the next ones depend on it
        (logits, _), *_ = row_logits(bart, tokens, ROWS)
        chance = (logits[:, place, :64] / 1.5).softmax(-1)
        tokens.image[:, place] = torch.multinomial(chance, 1)[:, 0]
    return bart, tokens


def nats_at(bart: Bart, tokens: TokenizedPictures, temperature: float) -> float:
    changed = deepcopy(bart)
    changed.get_parameter("decoder.head.weight").data.div_(temperature)
    return row_nats(changed, tokens, ROWS).mean().item() / 16


@pytest.mark.parametrize("confidence", [2.0, 6.0, 20.0])
def test_the_temperature_is_the_best_one(confidence: float) -> None:
    bart, tokens = world(confidence)
    best = minimize_scalar(lambda t: nats_at(bart, tokens, t), bounds=(0.3, 5), method="bounded")
    before = deepcopy(bart)
    found = calibrate(bart, tokens, ROWS)
    assert found.temperature == pytest.approx(best.x, rel=2e-3)
    assert found.nats_before == pytest.approx(nats_at(before, tokens, 1), abs=1e-5)
    assert found.nats_after == pytest.approx(best.fun, abs=1e-5)
    assert row_nats(bart, tokens, ROWS).mean().item() / 16 == pytest.approx(found.nats_after, abs=1e-5)
    for (was, _), (now, _) in zip(row_logits(before, tokens, ROWS), row_logits(bart, tokens, ROWS), strict=True):
        torch.testing.assert_close(now, was / found.temperature, atol=1e-4, rtol=1e-4)


def test_a_calibrated_model_stays_as_it_is() -> None:
    bart, tokens = world(6.0)
    calibrate(bart, tokens, ROWS)
    assert calibrate(bart, tokens, ROWS).temperature == pytest.approx(1, abs=1e-4)


def test_a_gpu_without_float64_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    bart, tokens = world(6.0)
    expected = calibrate(deepcopy(bart), tokens, ROWS)

    def on_apple(*arguments: Any) -> Iterator[tuple[Tensor, ...]]:
        return (tuple(part.as_subclass(OnApple) for part in parts) for parts in row_logits(*arguments))

    monkeypatch.setattr(calibration, "row_logits", on_apple)
    with pytest.raises(TypeError, match="float64"):
        next(on_apple(bart, tokens, ROWS))[0].double()
    assert calibrate(bart, tokens, ROWS) == expected


def test_a_few_rows_cannot_make_it_certain() -> None:
    bart, tokens = world(6.0)
    (logits, _), *_ = row_logits(bart, tokens, ROWS)
    tokens.image[0, 0] = logits[0, 0, :64].argmax()
    one = TokenizedPictures(tokens.text[:1], tokens.text_mask[:1], tokens.image[:1, :1], tokens.colors[:1, :1])
    assert calibrate(bart, one, ROWS[:1]).temperature == 1 / 4


def test_what_cannot_be_calibrated_is_refused() -> None:
    bart, tokens = world(6.0)
    with pytest.raises(InvalidValue, match="rows=0: expected 1 or more"):
        calibrate(bart, tokens, ROWS[:0])
    tied = replace(bart.config, tied=True, text_vocab=bart.config.image_vocab)
    with pytest.raises(InvalidValue, match="bart tied=True: expected False"):
        calibrate(Bart(tied), tokens, ROWS)


def test_a_tied_bart_is_refused_before_its_training(tmp_path: Path) -> None:
    training = replace(tiny().training, vqgan=replace(tiny().training.vqgan, steps=22))
    training = replace(training, bart=replace(training.bart, calibrate=True, draft_steps=0))
    stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    stages.train_vqgan(Ranks(), tmp_path, tiny().vqgan, training, squares, "cpu")
    shape = replace(tiny().bart, tied=True, text_vocab=512, image_extra=448, draft_width=0)
    with pytest.raises(InvalidValue, match="calibrate=True: expected False for a tied BART"):
        stages.train_bart(Ranks(), tmp_path, shape, training, squares, "cpu")


def test_a_stage_calibrates_on_dev_and_notes_it(tmp_path: Path) -> None:
    training = replace(tiny().training, vqgan=replace(tiny().training.vqgan, steps=22))
    plain = replace(training.bart, steps=12, checkpoint_every=12, calibrate=False)
    stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    stages.train_vqgan(Ranks(), tmp_path, tiny().vqgan, training, squares, "cpu")
    heads = []
    for calibrated in (False, True):
        settings = replace(training, bart=replace(plain, calibrate=calibrated))
        (tmp_path / "bart.safetensors").unlink(missing_ok=True)
        stages.train_bart(Ranks(), tmp_path, tiny().bart, settings, squares, "cpu")  # the second finds the checkpoint
        model = load_model(tmp_path / "bart.safetensors", lambda **fields: Bart(BartConfig(**fields)))
        heads.append(model.get_parameter("decoder.head.weight"))
    noted = json.loads((tmp_path / "training" / "bart" / "calibration.json").read_text(encoding="utf-8"))
    assert noted["nats_after"] < noted["nats_before"]
    torch.testing.assert_close(heads[1], heads[0] / noted["temperature"])
