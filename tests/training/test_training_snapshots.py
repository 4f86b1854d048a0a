"""The checkpoints of a stage: which stay, what a killed or failing writer leaves, what a damaged one says."""

import os
import resource
import shutil
from pathlib import Path

import pytest
import torch

from minidalle.checkpoint import CheckpointError
from minidalle.training.snapshots import Position, Snapshots, Tensors, below, flatten


def state(value: float) -> Tensors:
    return {"model/w": torch.full((100,), value), "counts": torch.tensor(value)}


def save(snapshots: Snapshots, step: int, best: int) -> None:
    snapshots.save(Position(step, best, 0.5), state(step))


def resumed(snapshots: Snapshots) -> tuple[Position, Tensors]:
    taken: list[Tensors] = []
    position = snapshots.resume(taken.append)
    return position, taken[0] if taken else {}


def test_the_last_ones_and_the_best_one_stay(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=2)
    bests = {10: 10, 20: 10, 30: 10, 40: 40, 50: 40, 60: 40, 70: 40}
    kept = {}
    for step, best in bests.items():
        save(snapshots, step, best)
        kept[step] = snapshots.steps()
    assert kept[30] == [10, 20, 30]
    assert kept[40] == [30, 40]  # 10 is no longer the best
    assert kept[70] == [40, 60, 70]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000040", "000060", "000070"]
    assert torch.equal(snapshots.load(40)[1]["counts"], torch.tensor(40.0))


def test_resume_takes_the_newest(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "none yet", keep=2)
    assert resumed(snapshots) == (Position(), {})
    save(snapshots, 9, 9)
    save(snapshots, 1_000_000, 9)  # seven digits: the newest, though not the last in the alphabet
    position, tensors = resumed(snapshots)
    assert position == Position(1_000_000, 9, 0.5)
    assert torch.equal(tensors["model/w"], torch.full((100,), 1e6))


def test_a_best_loss_that_nobody_has_reached_yet_is_kept(tmp_path: Path) -> None:
    Snapshots(tmp_path, 1).save(Position(3), state(3))
    assert resumed(Snapshots(tmp_path, 1))[0] == Position(3, 0, float("inf"))


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=2)
    save(snapshots, 10, 10)
    snapshots.save(Position(10, 10, 0.25), state(-1))
    assert resumed(snapshots)[0].best_loss == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["000010"]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=2)
    save(snapshots, 10, 10)
    for name in ("draft-123", "draft-old-123"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.safetensors").write_text("half")
    assert resumed(snapshots)[0].step == 10
    assert [path.name for path in tmp_path.iterdir()] == ["000010"]


def test_a_writer_killed_while_it_deletes_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has the name of a step is whole, at every moment: the killed one deletes one file and no more."""
    snapshots = Snapshots(tmp_path, keep=1)
    save(snapshots, 10, 10)

    def delete_half(folder: Path, ignore_errors: bool = False) -> None:
        if folder.exists():
            next(folder.iterdir()).unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", delete_half)
    with pytest.raises(KeyboardInterrupt):
        save(snapshots, 20, 20)
    monkeypatch.undo()
    for step in snapshots.steps():
        snapshots.load(step)
    assert resumed(snapshots)[0].step == 20
    assert [path.name for path in tmp_path.iterdir()] == ["000020"]


def test_what_cannot_be_deleted_yet_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network disk, where a file that is still open stays, and on Windows, where its folder cannot move."""
    snapshots = Snapshots(tmp_path, keep=1)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda folder, ignore_errors: None)
        for step in (10, 20, 30):
            save(snapshots, step, step)
    assert snapshots.steps() == [30]
    assert len([path for path in tmp_path.glob("draft-old-*") if any(path.iterdir())]) == 2
    move = os.replace

    def held(source: Path, target: Path) -> None:
        if Path(source).name == "000030":
            raise PermissionError(13, "in use")
        move(source, target)

    monkeypatch.setattr(os, "replace", held)
    save(snapshots, 40, 40)
    assert snapshots.steps() == [30, 40]
    monkeypatch.undo()
    save(snapshots, 50, 50)
    assert resumed(snapshots)[0].step == 50
    assert [path.name for path in tmp_path.iterdir()] == ["000050"]


def damage_tensors(folder: Path) -> None:
    whole = (folder / "state.safetensors").read_bytes()
    (folder / "state.safetensors").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("damage", [
    damage_tensors,
    lambda folder: (folder / "state.safetensors").unlink(),
    lambda folder: (folder / "position.json").unlink(),
    lambda folder: (folder / "position.json").write_text('{"step": 2'),
    lambda folder: (folder / "position.json").write_text('{"strange": 2}'),
    lambda folder: (folder / "position.json").write_text("[1]"),
])  # fmt: skip
def test_a_damaged_newest_one_says_what_to_delete_and_where_that_leads(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    snapshots = Snapshots(tmp_path, keep=3)
    for step in (10, 20, 30):
        save(snapshots, step, 10)
    before = {path: path.read_bytes() for step in (10, 20) for path in (tmp_path / f"0000{step}").iterdir()}
    damage(tmp_path / "000030")
    with pytest.raises(CheckpointError) as caught:
        snapshots.resume(lambda tensors: pytest.fail("nothing may be restored"))
    said = str(caught.value)
    assert f"{tmp_path / '000030'}" in said
    assert said.endswith(f"Delete {tmp_path / '000030'} to go on from step 20")
    assert {path: path.read_bytes() for path in before} == before
    shutil.rmtree(tmp_path / "000030")  # what the message says
    assert resumed(snapshots)[0].step == 20


def test_the_only_one_damaged_leads_to_the_start(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=2)
    save(snapshots, 10, 10)
    damage_tensors(tmp_path / "000010")
    with pytest.raises(CheckpointError, match=r"to go on from the start$"):
        snapshots.resume(lambda tensors: None)


def test_a_full_disk_leaves_the_earlier_ones_and_no_draft(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=1)
    save(snapshots, 10, 10)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*File too large"):
            save(snapshots, 20, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["000010"]
    assert torch.equal(resumed(snapshots)[1]["counts"], torch.tensor(10.0))


def test_flatten_and_below_are_inverses() -> None:
    parts = {"model": {"a.b": torch.ones(1)}, "optimizer": {"0/1/step": torch.zeros(1)}, "empty": {}}
    whole = flatten(**parts)
    assert whole.keys() == {"model/a.b", "optimizer/0/1/step"}
    assert {name: below(whole, name) for name in parts} == parts
