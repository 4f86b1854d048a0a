"""What may change when a run goes on, and what may not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from minidalle import run_notes
from minidalle.checkpoint import CheckpointError
from minidalle.errors import InvalidValue
from minidalle.presets import TINY, Preset
from minidalle.run import STAGES
from minidalle.run_notes import noted_run, settings_of, timed
from minidalle.training.loop import Interrupted


def other_bart(**changes: object) -> Preset:
    return replace(TINY, training=replace(TINY.training, bart=replace(TINY.training.bart, **changes)))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run whose VQGAN is being trained."""
    (tmp_path / "training" / "vqgan").mkdir(parents=True)
    (tmp_path / "run.json").write_text(json.dumps(settings_of(TINY)), encoding="utf-8")
    return tmp_path


def begin(folder: Path) -> None:
    (folder / "training" / "bart").mkdir()


def finish(folder: Path) -> None:
    (folder / "bart.safetensors").touch()


def test_how_steps_are_computed_may_change(folder: Path) -> None:
    begin(folder)
    noted = noted_run(folder, other_bart(accumulate=4, checkpoint_activations=True, compile=True), STAGES, print)
    assert noted is not None
    assert noted["preset"]["training"]["bart"]["accumulate"] == 4


def test_a_training_that_has_not_begun_may_have_other_settings(folder: Path) -> None:
    noted = noted_run(folder, other_bart(learning_rate=0.5, optimizer="muon"), STAGES, print)
    assert noted is not None
    assert noted["preset"]["training"]["bart"]["learning_rate"] == 0.5


@pytest.mark.parametrize(("what", "stages"), [(begin, ("bart",)), (begin, STAGES), (finish, ("bart",))])
def test_one_that_has_begun_may_not(folder: Path, what: Callable[[Path], None], stages: tuple[str, ...]) -> None:
    what(folder)
    with pytest.raises(InvalidValue, match=r"other settings \(training.bart.learning_rate: 0.003 → 0.5\)"):
        noted_run(folder, other_bart(learning_rate=0.5), stages, print)


@pytest.mark.parametrize(("what", "stages"), [(begin, ("tokenizer",)), (begin, ("vqgan",)), (finish, STAGES)])
def test_what_is_not_trained_now_stays_as_noted(
    folder: Path, what: Callable[[Path], None], stages: tuple[str, ...]
) -> None:
    what(folder)
    noted = noted_run(folder, other_bart(learning_rate=0.5), stages, print)
    assert noted is not None
    assert noted["preset"]["training"]["bart"]["learning_rate"] == 0.003


def test_another_shape_is_another_run(folder: Path) -> None:
    with pytest.raises(InvalidValue, match=r"other settings \(bart.width: 32 → 64\)"):
        noted_run(folder, replace(TINY, bart=replace(TINY.bart, width=64)), STAGES, print)


def test_a_run_older_than_a_setting_goes_on(folder: Path) -> None:
    begin(folder)
    noted = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    del noted["preset"]["training"]["bart"]["compile"], noted["preset"]["vqgan"]["decoder_only"]
    (folder / "run.json").write_text(json.dumps(noted), encoding="utf-8")
    assert noted_run(folder, TINY, STAGES, print) is not None


def test_imported_weights_are_not_trained_further(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"preset": {"sampling": {}}, "imported": "somewhere"}', encoding="utf-8")
    with pytest.raises(InvalidValue, match="holds weights that were imported or exported"):
        noted_run(tmp_path, TINY, STAGES, print)


def test_a_new_folder_notes_nothing(tmp_path: Path) -> None:
    assert noted_run(tmp_path, TINY, STAGES, print) is None


def test_a_stage_that_is_stopped_is_timed_and_its_own_error_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted, match="at step 3"), timed(folder, "bart"):
        raise Interrupted("stopped at step 3")
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["seconds"].keys() == {"bart"}

    def full(path: Path, value: object) -> None:
        raise CheckpointError(f"cannot write {path}")

    monkeypatch.setattr(run_notes, "save_json", full)
    with pytest.raises(Interrupted, match="at step 3"), timed(folder, "bart"):
        raise Interrupted("stopped at step 3")
    with pytest.raises(CheckpointError, match=r"cannot write .*run\.json"), timed(folder, "bart"):
        pass
