"""The tables of training speeds: arithmetic is counted rightly, every line is there, peers train the same shape."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minidalle.bart import Bart
from minidalle.cli import training_speeds
from minidalle.presets import CPU, TINY
from minidalle.reports import training_peers, training_speed
from minidalle.reports.training_tasks import TrainingTask, bart_step_flops, captions, image_tokens

TASK = TrainingTask(shape="tiny", device=torch.device("cpu"), batch=4, steps=1, runs=2)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    patch = pytest.MonkeyPatch()
    patch.setattr("minidalle.reports.machine.COPIED", {"cpu": 2**16})
    patch.setattr("minidalle.reports.machine.SQUARE", {"cpu": 16})
    patch.setattr(training_speed, "ask", lambda program, wanted: [training_peers.timed(asked) for asked in wanted])
    patch.setitem(training_peers.NEEDS, "taming", ("no_such_package",))
    found = training_speed.bench_training(TASK, peers=True, say=lambda words: None)
    patch.undo()
    return found


def test_every_way_and_every_peer_has_a_line(found: dict[str, Any]) -> None:
    lines = [(row["model"], row["name"], row["precision"]) for row in found["rows"]]
    more = ["fast, in 2 parts", "fast, checkpointed"]
    ours = [("BART", name, "fp32") for name in ("readable", "fast")]
    ours += [("BART", name, "bf16") for name in ("readable", "fast", *more)]
    ours += [("VQGAN", "plain", "fp32"), ("VQGAN", "plain", "bf16"), ("VQGAN", "checkpointed", "bf16")]
    peers = [
        ("BART", f"transformers, {name}", precision) for name in ("sdpa", "eager") for precision in ("fp32", "bf16")
    ]
    assert lines == ours + peers
    assert found["left_out"] == ["taming, fp32: not installed", "taming, bf16: not installed"]
    assert all(len(row["runs"]) == 2 and min(row["runs"]) > 0 for row in found["rows"])
    json.dumps(found)


def test_gradients_agree_as_stated(found: dict[str, Any]) -> None:
    off = {(row["model"], row["name"], row["precision"]): row["off"] for row in found["rows"]}
    assert off[("BART", "readable", "fp32")] == 0
    assert off[("BART", "fast", "fp32")] < 1e-5
    assert off[("BART", "fast", "bf16")] != off[("BART", "readable", "bf16")]  # they are not the same steps
    assert 1e-4 < off[("BART", "fast, in 2 parts", "bf16")] < 0.05
    assert not any(map(training_speeds.far_off, found["rows"]))
    assert training_speeds.far_off({"off": float("nan"), "precision": "fp32"})


def test_the_tables_compare_with_the_peer_in_the_same_precision(found: dict[str, Any]) -> None:
    rows = [{"name": name, "precision": precision, "milliseconds": taken}
            for name, precision, taken in (("fast", "bf16", 2.0), ("p", "fp32", 9.0), ("p", "bf16", 3.0))]  # fmt: skip
    assert training_speeds.times_as_fast(rows[0], rows, "p") == "1.50"
    assert training_speeds.times_as_fast(rows[0], rows, "q") == ""
    told = {"ceilings": {"matmul bfloat16": 0.5}, "models": {"BART": {"flops": 1e9}}}
    assert training_speeds.of_the_ceiling({**rows[0], "model": "BART"}, told) == pytest.approx(1.0)
    for model, count in (("BART", 10), ("VQGAN", 3)):
        assert training_speeds.steps_table(found, model).row_count == count


def test_steps_in_tf32_are_not_held_against_products_that_are_not(found: dict[str, Any]) -> None:
    told = {**found, "machine": {**found["machine"], "kind": "cuda"}}
    for model, empty in (("VQGAN", ["plain, fp32"]), ("BART", [])):
        table = training_speeds.steps_table(told, model)
        name, precision, mfu = (next(column for column in table.columns if column.header == header)
                                for header in ("step", "precision", "MFU"))  # fmt: skip
        lines = zip(name.cells, precision.cells, mfu.cells, strict=True)
        assert [f"{one}, {kind}" for one, kind, share in lines if not share] == empty
        assert ("TF32" in str(table.caption)) == bool(empty)
    assert "TF32" not in str(training_speeds.steps_table(found, "VQGAN").caption)


@pytest.mark.parametrize("shape", [TASK.bart, replace(TASK.bart, glu=True, norm="normformer", encoder_layers=2)])
def test_the_arithmetic_of_a_step_is_what_torch_counts(shape: Any) -> None:
    bart, asked = Bart(shape), TASK.asked(shape, 4)
    text, mask = captions(asked, TASK.device)
    image = image_tokens(asked, TASK.device)
    with FlopCounterMode(display=False) as counter:
        bart(text, mask, image).mean().backward()
    assert counter.get_total_flops() == bart_step_flops(shape, 4, text.shape[1])


def test_a_peer_has_as_many_weights_and_trains_on_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for norms, biases and positions, of which it has more; so at a width where those are few."""
    built: list[Any] = []
    monkeypatch.setattr(training_peers, "step_of", lambda weights, *rest: built.append(sum(p.numel() for p in weights)))
    config = replace(CPU.bart, draft_width=0)
    training_peers.bart({**TASK.asked(config, 2), "peer": "transformers, sdpa", "precision": "fp32"}, TASK.device)
    assert built[0] == pytest.approx(sum(p.numel() for p in Bart(config).parameters()), rel=0.07)


def test_a_peer_in_a_process_of_its_own() -> None:
    asked = {**TASK.asked(TINY.bart, 4), "peer": "transformers, sdpa", "precision": "fp32"}
    (said,) = training_speed.ask("minidalle.reports.training_peers", [asked])
    assert len(said["runs"]) == 2
    (words,) = training_speed.ask("minidalle.no_such_program", [asked])
    assert "no_such_program" in words


def test_the_command_prints_both_tables(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training_speeds, "bench_training", lambda task, peers, say: found)
    assert training_speeds.show_training("tiny", "cpu", None, None, 2, None, True, tmp_path / "found.json") == 0
    printed = capsys.readouterr().out
    assert "BART, tiny: 4 pictures of 16 tokens, captions of 4 to 12" in printed
    assert "× taming" in printed
    assert "Left out: taming, fp32: not installed" in printed
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == json.loads(json.dumps(found["rows"]))
