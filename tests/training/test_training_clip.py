"""The CLIP's stage: it learns, resumes to the bit, and two ranks learn from each other's captions as one does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from training_recipes import squares
from training_runs import differences, metrics

from minidalle.checkpoint import CheckpointError
from minidalle.clip import Clip, ClipConfig, Judge, clip_loss, found_among, load_judge
from minidalle.data import CaptionedPictures
from minidalle.data.keywords import without_style
from minidalle.data.pixels import to_floats
from minidalle.errors import InvalidValue
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training import stages
from minidalle.training.clip import ClipStage, gather, shift_pictures
from minidalle.training.config import ClipTraining
from minidalle.training.distributed import Ranks, launch
from minidalle.training.loop import Interrupted, Progress

WORDS = TokenizerConfig(vocab_size=400, text_length=24)
SHAPE = ClipConfig(
    text_vocab=400, text_length=24, image_size=16, width=32, heads=2, hidden=32, channels=8,
    multipliers=(1, 2), blocks=(1, 1), features=8, joint=16, dropout=0.1,
)  # fmt: skip
SHORT = ClipTraining(steps=12, batch_size=16, learning_rate=3e-3, warmup=2, average=0.9, weight_decay=0.1,
                     checkpoint_every=4, log_every=1, precision="fp32", optimizer="muon")  # fmt: skip
EXACT = replace(SHORT, style_dropout=0.0, noise=0.0, shift=0)


def styled() -> CaptionedPictures:
    """Colored squares whose captions name a style too."""
    whole = squares()
    captions = [f"{caption}, {'noto' if row % 3 else 'plain'} style" for row, caption in enumerate(whole.captions)]
    return replace(whole, captions=captions)


def stage(config: ClipTraining = SHORT, rank: int = 0, size: int = 1, dropout: float = 0.1) -> ClipStage:
    """A stage as one of several ranks would have it, which never talks to the others."""
    torch.manual_seed(0)
    judge = Judge(Tokenizer.train(styled().captions, WORDS), Clip(replace(SHAPE, dropout=dropout)))
    made = ClipStage(config, judge, styled(), 0, Ranks())
    made.ranks = Ranks(rank, size)
    return made


def train(folder: Path, ranks: int = 1, config: ClipTraining = SHORT, **more: object) -> Path:
    if not (folder / "tokenizer").exists():
        stages.train_tokenizer(folder, WORDS, styled)
    launch(stages.train_clip, ranks, folder, SHAPE, config, 0, styled, "cpu", **more)
    return folder


def test_after_a_little_training_it_finds_far_more_than_chance(tmp_path: Path) -> None:
    train(tmp_path, config=replace(SHORT, steps=100, checkpoint_every=50, batch_size=32))
    judge, pictures = load_judge(tmp_path), styled()
    rows = pictures.rows("dev")
    shown = to_floats(pictures.pictures[rows])
    vectors = judge.image_vectors(shown), judge.text_vectors([pictures.captions[row] for row in rows])
    recall = found_among(*vectors).float().mean().item()
    assert recall > 3 / 32  # chance is 1 of 32
    best = min((row for row in metrics(tmp_path, "clip") if "dev_loss" in row), key=lambda row: row["dev_loss"])
    assert recall == pytest.approx(best["dev_recall_at_1"])
    colors = judge.text_vectors([f"{color} square" for color in ("red", "green", "blue", "black")])
    guessed = (vectors[0] @ colors.T).argmax(1).numpy()
    assert (guessed == rows % 4).mean() > 0.5  # though nobody ever said only that
    assert metrics(tmp_path, "clip")[-1]["loss"] < 0.7 * metrics(tmp_path, "clip")[0]["loss"]


class Stop:
    """Asks a training to stop after some step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, progress: Progress) -> None:
        if progress.step == self.step:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, config=replace(SHORT, precision="bf16"))
    for step in (3, 6):
        with pytest.raises(Interrupted):
            train(parts, config=replace(SHORT, precision="bf16"), watch=Stop(step))
    train(parts, config=replace(SHORT, precision="bf16"))
    assert differences(whole, parts, "clip") == []


def test_a_finished_training_is_only_exported_again(tmp_path: Path) -> None:
    train(tmp_path)
    written = (tmp_path / "clip.safetensors").read_bytes()
    (tmp_path / "clip.safetensors").unlink()
    steps: list[Progress] = []
    train(tmp_path, watch=steps.append)
    assert steps == []
    assert (tmp_path / "clip.safetensors").read_bytes() == written


def two_ranks(ranks: Ranks, folder: Path) -> None:
    """One step's gradients of a stage, kept per rank."""
    torch.manual_seed(0)
    judge = Judge(Tokenizer.train(styled().captions, WORDS), Clip(replace(SHAPE, dropout=0.0)))
    one = ClipStage(EXACT, judge, styled(), 0, ranks)
    vectors = one.shared(*one._batch(0))
    loss = clip_loss(gather(vectors[0], ranks), gather(vectors[1], ranks), vectors[2])
    loss.backward()
    gradients = {name: weight.grad for name, weight in one.clip.named_parameters()}
    torch.save({"loss": loss.detach(), **gradients}, folder / f"{ranks.size}-{ranks.rank}.pt")
    ranks.wait()


@pytest.mark.slow
@pytest.mark.parametrize("size", [2])
def test_the_gradients_of_ranks_are_those_of_one_process(tmp_path: Path, size: int) -> None:
    launch(two_ranks, 1, tmp_path)
    launch(two_ranks, size, tmp_path)
    alone = torch.load(tmp_path / "1-0.pt")
    for rank in range(size):
        shared = torch.load(tmp_path / f"{size}-{rank}.pt")
        assert shared.keys() == alone.keys()
        for name in alone:
            torch.testing.assert_close(shared[name], alone[name], rtol=1e-3, atol=1e-6, msg=name)


def test_gathering_alone_changes_nothing() -> None:
    vectors = torch.rand(3, 4, requires_grad=True)
    assert gather(vectors, Ranks()) is vectors


class Echo(Ranks):
    """A rank that hears two ranks' vectors: its own, and some that are fixed."""

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        other = torch.zeros_like(tensor)
        other[1 - self.rank] = torch.arange(8.0).view(4, 2)
        return tensor + other


@pytest.mark.parametrize("rank", [0, 1])
def test_gathered_vectors_stand_in_the_order_of_ranks_and_carry_gradients_for_their_own(rank: int) -> None:
    own = torch.full((4, 2), 9.0, requires_grad=True)
    whole = gather(own, Echo(rank, 2))
    assert torch.equal(whole[4 * rank : 4 * rank + 4], own)
    assert torch.equal(whole[4 - 4 * rank : 8 - 4 * rank], torch.arange(8.0).view(4, 2))
    weights = torch.rand(8, 2)
    (whole * weights).sum().backward()
    assert own.grad is not None
    assert torch.equal(own.grad, 2 * weights[4 * rank : 4 * rank + 4])


def test_a_batch_depends_on_the_seed_the_step_and_the_rank_alone() -> None:
    asked, fresh = stage(), stage()
    asked._batch(5)
    torch.manual_seed(77)
    for n in (0, 9):
        assert all(torch.equal(a, b) for a, b in zip(asked._batch(n), fresh._batch(n), strict=True))
    exact = stage(EXACT)._batch(3)
    shares = [stage(EXACT, rank, 2)._batch(3) for rank in range(2)]
    assert torch.equal(torch.cat([share[2] for share in shares]), exact[2])


def test_what_is_not_augmented_is_the_data_itself() -> None:
    plain = stage(EXACT)
    text, mask, pictures = plain._batch(4)
    rows = plain._batch_rows(4)
    assert torch.equal(pictures, to_floats(styled().pictures[rows]))
    decoded = [plain_judge().tokenizer.decode(row[real].tolist()) for row, real in zip(text, mask, strict=True)]
    assert decoded == [styled().captions[row] for row in rows]
    assert set(rows) <= set(styled().rows("train"))


def plain_judge() -> Judge:
    return Judge(Tokenizer.train(styled().captions, WORDS), Clip(SHAPE))


def test_styles_are_dropped_as_often_as_is_asked() -> None:
    half = stage(replace(SHORT, style_dropout=0.5, batch_size=64))
    tokenizer, bare = plain_judge().tokenizer, []
    for n in range(6):
        text, mask, _ = half._batch(n)
        said = [tokenizer.decode(row[real].tolist()) for row, real in zip(text, mask, strict=True)]
        whole = [styled().captions[row] for row in half._batch_rows(n)]
        assert all(ours in (caption, without_style(caption)) for ours, caption in zip(said, whole, strict=True))
        bare += [not ours.endswith("style") for ours in said]
    assert np.mean(bare) == pytest.approx(0.5, abs=0.08)


def with_names(captions: CaptionedPictures) -> CaptionedPictures:
    """The same pictures with the columns that the emoji have, of one that has keywords and one that has none."""
    rows = len(captions)
    columns = {"name": np.array(["cat face", "square"] * (rows // 2)), "style": np.array(["noto"] * rows)}
    columns |= {"role": columns["name"], "keywords": np.array(["kitten|pet", ""] * (rows // 2))}
    return replace(captions, columns={**captions.columns, **columns})


def test_captions_are_said_in_other_words_where_the_data_has_some() -> None:
    torch.manual_seed(0)
    config = replace(EXACT, reword=0.5, batch_size=64)
    judge = Judge(Tokenizer.train(styled().captions, WORDS), Clip(SHAPE))
    known, unknown = (ClipStage(config, judge, data, 0, Ranks()) for data in (with_names(styled()), styled()))
    said = {"cat face": [], "square": []}  # type: dict[str, list[str]]
    reworded = []
    for n in range(8):
        text, mask, _ = known._batch(n)
        for row, ids, real in zip(known._batch_rows(n), text, mask, strict=True):
            caption = judge.tokenizer.decode(ids[real].tolist())
            reworded.append(caption != known.pictures.captions[row])
            if reworded[-1]:
                said[str(known.pictures.columns["role"][row])].append(caption)
        as_it_is = unknown._batch(n)[0]
        whole = judge.tokenizer.encode_batch([styled().captions[row] for row in unknown._batch_rows(n)])[0]
        assert torch.equal(as_it_is, whole[:, : as_it_is.shape[1]])  # there are no other words here
    assert np.mean(reworded) == pytest.approx(0.5, abs=0.07)
    assert {caption.removesuffix(", noto style").split()[-1] for caption in said["square"]} == {"square"}
    assert any("kitten" in caption or "pet" in caption for caption in said["cat face"])


def test_only_the_words_of_a_style_are_dropped() -> None:
    assert without_style("red apple, noto style") == "red apple"
    assert without_style("flag: Côte d’Ivoire, twemoji style") == "flag: Côte d’Ivoire"
    for caption in ("red apple", "a house in old style", "style, noto", ""):
        assert without_style(caption) == caption


@pytest.mark.parametrize("offset", [(0, 0), (2, -1), (-2, 2)])
def test_shifted_pictures_are_those_of_a_padded_crop(offset: tuple[int, int]) -> None:
    pictures = torch.rand(3, 3, 8, 10)
    down, right = offset
    padded = F.pad(pictures, (2, 2, 2, 2), mode="replicate")
    expected = padded[:, :, 2 - down : 10 - down, 2 - right : 12 - right]
    assert torch.equal(shift_pictures(pictures, torch.tensor([offset] * 3)), expected)


def test_pictures_are_moved_each_by_itself_and_made_noisy() -> None:
    pictures, offsets = torch.rand(4, 3, 8, 8), torch.tensor([[0, 0], [1, 0], [0, 1], [-1, -1]])
    moved = shift_pictures(pictures, offsets)
    for i in range(4):
        assert torch.equal(moved[i], shift_pictures(pictures[i : i + 1], offsets[i : i + 1])[0])
    noisy, plain = stage(replace(EXACT, noise=0.1, batch_size=64))._batch(0)[2], stage(
        replace(EXACT, batch_size=64)
    )._batch(0)[2]  # fmt: skip
    assert (noisy - plain).std().item() == pytest.approx(0.1, rel=0.05)


def test_evaluating_and_sampling_leave_the_training_alone() -> None:
    plain, watched = stage(), stage()
    for n in range(3):
        first, second = plain.step(n), watched.step(n)
        measured = watched.evaluate()
        page = watched.sample()
        assert first == second
    ours, theirs = plain.tensors(), watched.tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert sorted(measured) == ["dev_loss", "dev_recall_at_1"]
    assert page.dtype == np.uint8
    assert page.shape[1] > page.shape[0]


def test_a_judge_that_may_know_everything_says_so() -> None:
    knows = stage(replace(SHORT, rows="all"))
    visited = {int(row) for n in range(20) for row in knows._batch_rows(n)}  # toned rows come every second epoch
    assert visited == set(range(160))
    assert sorted(knows.evaluate()) == ["dev_loss", "dev_recall_at_1_seen"]


def test_a_clip_needs_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tokenizer"):
        stages.train_clip(Ranks(), tmp_path, SHAPE, SHORT, 0, styled, "cpu")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("rows", "dev", "rows='dev': expected train or all"),
        ("reword", -0.1, r"reword=-0.1: expected a share in \[0, 1\]"),
        ("reword", 0.9, r"reword \+ style_dropout=1.05: expected a share in \[0, 1\]"),
        ("style_dropout", 1.5, r"style_dropout=1.5: expected a share in \[0, 1\]"),
        ("shift", -1, "shift=-1: expected 0 or more pixels"),
        ("noise", -0.1, "noise=-0.1: expected 0 or more"),
        ("steps", 0, "steps=0: expected at least 1"),
    ],
)
def test_a_bad_setting_is_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{expected}"):
        replace(SHORT, **{field: value})
