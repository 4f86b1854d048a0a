"""A judge in words and pictures; saved and loaded; and drawing the best of several."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_clip_model import SMALL, clip

from minidalle.bart import Bart
from minidalle.checkpoint import CheckpointError, load_tensors
from minidalle.clip import Judge, draw_best, load_judge
from minidalle.errors import InvalidValue
from minidalle.pipeline import TextToImage
from minidalle.presets import TINY
from minidalle.runtime import pick_device
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.vqgan import VQGAN

CAPTIONS = ["red apple, noto style", "cat", "woman dark skin tone", "a blue car"]
SAMPLING = SamplingConfig(temperature=1.0, guidance=2.0)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(Tokenizer.train(CAPTIONS * 3, TokenizerConfig(vocab_size=300, text_length=12)), clip())


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    torch.manual_seed(0)
    vqgan, bart = VQGAN(TINY.vqgan), Bart(TINY.bart)
    with torch.no_grad():
        vqgan.quantize.codebook.mul_(100)
    return TextToImage(Tokenizer.train(CAPTIONS * 3, TINY.tokenizer), vqgan, bart)


def test_similarity_is_the_cosine_of_each_pair(judge: Judge) -> None:
    pictures = torch.rand(4, 3, 16, 16)
    texts, images = judge.text_vectors(CAPTIONS), judge.image_vectors(pictures)
    cosines = torch.nn.functional.cosine_similarity(texts, images)
    torch.testing.assert_close(judge.similarity(CAPTIONS, pictures), cosines)
    assert texts.shape == images.shape == (4, 8)
    with pytest.raises(InvalidValue, match="captions=3: expected one per picture: 4"):
        judge.similarity(CAPTIONS[:3], pictures)


def test_many_are_judged_in_parts(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.rand(7, 3, 16, 16)
    whole = judge.image_vectors(pictures)
    texts = judge.text_vectors(CAPTIONS)
    monkeypatch.setattr("minidalle.clip.judge.BATCH", 3)
    torch.testing.assert_close(judge.image_vectors(pictures), whole)
    torch.testing.assert_close(judge.text_vectors(CAPTIONS), texts)


def test_pictures_of_any_size_are_judged(judge: Judge) -> None:
    pictures = torch.rand(2, 3, 16, 16)
    larger = pictures.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(judge.image_vectors(larger), judge.image_vectors(pictures))
    assert torch.equal(judge.image_vectors(pictures), judge.clip.encode_image(pictures))
    flat = torch.full((1, 3, 20, 12), 0.3)
    torch.testing.assert_close(judge.image_vectors(flat), judge.image_vectors(torch.full((1, 3, 16, 16), 0.3)))


def test_a_saved_judge_says_the_same(judge: Judge, tmp_path: Path) -> None:
    pictures = torch.rand(4, 3, 16, 16)
    judge.save(str(tmp_path / "whole"))
    judge.save(tmp_path / "half", torch.float16)
    whole, half = load_judge(tmp_path / "whole"), load_judge(str(tmp_path / "half"), "cpu")
    assert {tensor.dtype for tensor in load_tensors(tmp_path / "half" / "clip.safetensors").values()} == {torch.float16}
    assert {parameter.dtype for parameter in half.clip.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in judge.clip.parameters()} == {torch.float32}  # it keeps its own
    assert whole.clip.config == half.clip.config == SMALL
    assert not whole.clip.training
    assert torch.equal(whole.similarity(CAPTIONS, pictures), judge.similarity(CAPTIONS, pictures))
    exact = judge.similarity(CAPTIONS, pictures)
    torch.testing.assert_close(half.similarity(CAPTIONS, pictures), exact, rtol=0, atol=5e-3)


def test_vectors_can_be_learned_from(judge: Judge) -> None:
    weight = torch.ones(1, requires_grad=True)
    for vectors in (judge.text_vectors(CAPTIONS), judge.image_vectors(torch.rand(2, 3, 16, 16))):
        (vectors * weight).sum().backward()


def test_a_device_is_picked_by_its_name(judge: Judge, tmp_path: Path) -> None:
    judge.save(tmp_path)
    assert load_judge(tmp_path, "auto").device == pick_device()
    for use in (lambda: load_judge(tmp_path, "tpu"), lambda: judge.to("tpu")):
        with pytest.raises(InvalidValue, match="device='tpu': expected auto or one of cpu"):
            use()


def test_a_damaged_or_unfinished_judge_is_named(judge: Judge, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"clip\.safetensors"):
        load_judge(tmp_path)
    judge.save(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="tokenizer"):
        load_judge(tmp_path)


def test_parts_that_do_not_fit_are_refused(judge: Judge) -> None:
    with pytest.raises(InvalidValue, match=r"tokenizer vocab_size=\d+: expected at most 270 \(CLIP's\)"):
        Judge(judge.tokenizer, clip(replace(SMALL, text_vocab=270)))
    with pytest.raises(InvalidValue, match=r"tokenizer text_length=12: expected at most 8 \(CLIP's\)"):
        Judge(judge.tokenizer, clip(replace(SMALL, text_length=8)))


def test_one_candidate_is_no_choice(pipeline: TextToImage, judge: Judge) -> None:
    drawn = draw_best(pipeline, judge, CAPTIONS, range(4), SAMPLING, 1)
    assert torch.equal(drawn, pipeline.draw(CAPTIONS, range(4), SAMPLING))


def test_the_best_is_chosen_and_is_the_same_in_any_batch(pipeline: TextToImage, judge: Judge) -> None:
    best = draw_best(pipeline, judge, CAPTIONS, range(4), SAMPLING, 5)
    likings = [judge.similarity(CAPTIONS, best)]
    likings += [
        judge.similarity(CAPTIONS, draw_best(pipeline, judge, CAPTIONS, range(4), SAMPLING, n)) for n in (1, 2, 4)
    ]
    plain = likings[1]
    assert (torch.stack(likings[1:] + likings[:1]).diff(dim=0) >= 0).all()  # more candidates, more liked
    assert (likings[0] > plain).any()
    order = [2, 0, 3, 1]
    shuffled = draw_best(pipeline, judge, [CAPTIONS[i] for i in order], order, SAMPLING, 5)
    torch.testing.assert_close(shuffled, best[order])  # the same tokens; convolutions round as the batch is large
    alone = torch.cat([draw_best(pipeline, judge, CAPTIONS[i : i + 1], [i], SAMPLING, 5) for i in range(4)])
    torch.testing.assert_close(alone, best)


def test_pictures_do_not_share_candidates(pipeline: TextToImage, judge: Judge) -> None:
    """Neighboring seeds draw other candidates: a second one must not be the next picture's first."""
    drawn: list[torch.Tensor] = []

    class Kept(TextToImage):
        def draw(self, *arguments: object) -> torch.Tensor:  # type: ignore[override]
            drawn.append(super().draw(*arguments))  # type: ignore[arg-type]
            return drawn[-1]

    watched = Kept(pipeline.tokenizer, pipeline.vqgan, pipeline.bart)
    draw_best(watched, judge, ["cat"] * 3, [0, 1, 2], SAMPLING, 3)
    assert len({tuple(picture.flatten().tolist()) for picture in torch.cat(drawn)}) == 9


def test_there_is_at_least_one_candidate(pipeline: TextToImage, judge: Judge) -> None:
    with pytest.raises(InvalidValue, match="candidates=0: expected 1 or more"):
        draw_best(pipeline, judge, CAPTIONS, range(4), SAMPLING, 0)
