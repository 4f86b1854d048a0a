"""The table of decoding speeds: every line is there, what is compared agrees, and a peer that fails is said to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minidalle.bart import Bart
from minidalle.cli import speeds
from minidalle.presets import DALLE_MINI
from minidalle.reports import decoding_peers, decoding_speed
from minidalle.reports.decoding_speed import Task, bench_decoding, weights_read

CPU = torch.device("cpu")
NARROW = replace(
    DALLE_MINI,
    bart=replace(DALLE_MINI.bart, text_vocab=60, width=64, heads=4, hidden=170, encoder_layers=1, decoder_layers=2),
)


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setitem(decoding_speed.SHAPES, "mini", NARROW)
    return Task(shape="mini", device=CPU, pictures=2, tokens=3, runs=2)


@pytest.fixture
def small_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidalle.reports.machine.COPIED", {"cpu": 2**16})
    monkeypatch.setattr("minidalle.reports.machine.SQUARE", {"cpu": 16})


def test_ours(task: Task, small_ceilings: None, tmp_path: Path) -> None:
    said: list[str] = []
    found = bench_decoding(task, peers=False, say=said.append)
    assert [(row["name"], row["precision"]) for row in found["rows"]] == [
        ("readable", "fp32"), ("fast", "fp32"), ("fast", "bf16"), ("fast", "int8"),
    ]  # fmt: skip
    for row in found["rows"]:
        assert row["milliseconds"] > 0
        assert len(row["runs"]) == 2
        assert row["name"] == "readable" or 0 < row["off"] < decoding_speed.TOLERANCE[row["precision"]]
    assert min(found["ceilings"].values()) > 0
    json.dumps(found)
    assert speeds.decoding_table(found).row_count == 4
    assert not speeds.far_off(found["rows"][1])
    assert speeds.far_off({**found["rows"][1], "off": float("nan")})


def test_what_a_token_reads_is_what_the_model_has() -> None:
    bart = Bart(NARROW.bart)
    matrices = [weight for weight in bart.decoder["layers"].parameters() if weight.dim() == 2]
    captions = [weight for name, weight in bart.decoder["layers"].named_parameters()
                if "cross_attention.key.weight" in name or "cross_attention.value.weight" in name]  # fmt: skip
    head = NARROW.bart.image_codes * NARROW.bart.width
    expected = sum(weight.numel() for weight in matrices) - sum(weight.numel() for weight in captions) + head
    assert weights_read(NARROW.bart) == expected


def test_peers_decode_and_who_fails_is_named(task: Task) -> None:
    """min-dalle cannot decode in bf16 on a CPU: its cache is in fp32."""
    answers = {(peer, precision): taken for peer, precision, taken in decoding_speed.time_peers(task)}
    assert set(answers) == {(peer, precision) for peer in decoding_peers.PEERS for precision in ("fp32", "bf16")}
    assert "RuntimeError" in answers.pop(("min-dalle", "bf16"))
    for taken in answers.values():
        assert len(taken) == 2
        assert min(taken) > 0


def test_a_peer_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoding_peers.PEERS, "transformers", "no_such_package")
    assert decoding_peers.timed({"peer": "transformers"}) == "not installed"
