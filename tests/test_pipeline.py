"""Caption → picture: the same picture alone, in a batch and after a reload; parts that do not fit are refused."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minidalle.bart import Bart
from minidalle.checkpoint import CheckpointError, load_json, save_json, save_model
from minidalle.course.parts import use
from minidalle.data import CaptionedPictures
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.pipeline import READABLE, TextToImage, load
from minidalle.presets import SHIPPED, TINY
from minidalle.runtime import pick_device
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.vqgan import VQGAN

CAPTIONS = [
    "red apple, noto style",
    "a",
    "woman firefighter: dark skin tone, twemoji style",
    "grinning face",
    "",
    "cat 🐈",
]
SEEDS = [3, 1, 4, 1, 5, 9]
SAMPLING = SamplingConfig(temperature=0.9, top_k=20, top_p=0.95, guidance=2.5)


def parts(seed: int = 0) -> tuple[Tokenizer, VQGAN, Bart]:
    """A trained tokenizer and random models, whose weights are large enough for the caption to matter."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer.train(CAPTIONS * 3, TINY.tokenizer)
    vqgan, bart = VQGAN(TINY.vqgan), Bart(TINY.bart)
    with torch.no_grad():
        for parameter in bart.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        vqgan.quantize.codebook.mul_(100)
    return tokenizer, vqgan, bart


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return TextToImage(*parts())


def test_pictures_are_pictures(pipeline: TextToImage) -> None:
    drawn = pipeline.draw(CAPTIONS, SEEDS, SAMPLING)
    assert drawn.shape == (6, 3, 16, 16)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert len({tuple(picture.flatten().tolist()) for picture in drawn}) == 6
    assert not drawn.requires_grad


def test_a_picture_is_the_same_alone_and_in_any_batch(pipeline: TextToImage) -> None:
    text, mask = pipeline.encode_text(CAPTIONS)
    together = pipeline.predict(text, mask, SEEDS, SAMPLING)
    order = [4, 2, 0, 5, 1, 3]
    shuffled = pipeline.predict(text[order], mask[order], [SEEDS[i] for i in order], SAMPLING)
    assert torch.equal(shuffled, together[order])
    for i in range(len(CAPTIONS)):
        alone = pipeline.predict(text[i : i + 1], mask[i : i + 1], SEEDS[i : i + 1], SAMPLING)
        assert torch.equal(alone[0], together[i])


def test_the_caption_the_seed_and_the_guidance_matter(pipeline: TextToImage) -> None:
    first = pipeline.draw(["red apple"], [0], SAMPLING)
    assert torch.equal(first, pipeline.draw(["red apple"], [0], SAMPLING))
    for caption, seed, guidance in (("green apple", 0, 2.5), ("red apple", 1, 2.5), ("red apple", 0, 8.0)):
        other = pipeline.draw([caption], [seed], replace(SAMPLING, guidance=guidance))
        assert not torch.equal(first, other), (caption, seed, guidance)


def test_what_it_draws_does_not_depend_on_torchs_own_generator(pipeline: TextToImage) -> None:
    torch.manual_seed(1)
    first = pipeline.draw(["red apple"], [0], SAMPLING)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, pipeline.draw(["red apple"], [0], SAMPLING))
    assert torch.equal(torch.get_rng_state(), state)


def test_guidance_1_is_no_guidance(pipeline: TextToImage) -> None:
    """What is skipped for speed at 1 gives the same logits as the pair of captions does."""
    text, mask = pipeline.encode_text(CAPTIONS)
    plain, nearly = (pipeline._next_logits(text, mask, guidance) for guidance in (1.0, 1.0 + 1e-12))
    prefix = torch.zeros(len(CAPTIONS), 0, dtype=torch.long)
    for _ in range(4):
        a, b = plain(prefix), nearly(prefix)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        prefix = torch.cat([prefix, a[:, :64].argmax(-1, keepdim=True)], dim=1)


def test_guidance_goes_from_the_empty_caption_beyond_the_caption(pipeline: TextToImage) -> None:
    assert pipeline.tokenizer.encode("") == [0, 2]  # <s></s>
    text, mask = pipeline.encode_text(["red apple", "cat"])
    null_text, null_mask = pipeline.encode_text(["", ""])
    assert mask.sum(1).min() > 2
    assert null_mask.sum(1).tolist() == [2, 2]
    bare = torch.zeros(2, 0, dtype=torch.long)
    guided = pipeline._next_logits(text, mask, 3.0)(bare)
    with torch.no_grad():
        start = torch.full((2, 1), pipeline.bart.config.start_token)
        with_caption = pipeline.bart(text, mask, start)[:, 0]
        without = pipeline.bart(null_text, null_mask, start)[:, 0]
    torch.testing.assert_close(guided, without + 3 * (with_caption - without), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(guided, with_caption, atol=1e-2)


def test_it_draws_what_the_model_says_token_by_token(pipeline: TextToImage) -> None:
    """Against the whole sequence given to the uncached model."""
    text, mask = pipeline.encode_text(CAPTIONS)
    tokens = pipeline.predict(text, mask, SEEDS, SamplingConfig(temperature=0.0))
    image_in = torch.cat([torch.full((6, 1), pipeline.bart.config.start_token), tokens[:, :-1]], dim=1)
    with torch.no_grad():
        likeliest = pipeline.bart(text, mask, image_in)[..., : pipeline.vqgan.config.codes].argmax(-1)
    assert (likeliest == tokens).float().mean() > 0.98  # a near tie may fall either way
    assert torch.equal(pipeline.decode_image(tokens), pipeline.vqgan.decode(tokens))


@pytest.mark.parametrize("sampling", [SAMPLING, SamplingConfig(), SamplingConfig(temperature=0.0, guidance=4.0)])
def test_fast_drawing_is_the_same_token_for_token(pipeline: TextToImage, sampling: SamplingConfig) -> None:
    fast = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, precision="fp32")
    text, mask = pipeline.encode_text(CAPTIONS)
    for rows in (slice(0, 6), slice(0, 1), slice(2, 3), slice(1, 4)):
        expected = pipeline.predict(text[rows], mask[rows], SEEDS[rows], sampling)
        assert torch.equal(fast.predict(text[rows], mask[rows], SEEDS[rows], sampling), expected)


def test_fast_drawing_notices_that_the_weights_have_changed() -> None:
    tokenizer, vqgan, bart = parts()
    fast, readable = TextToImage(tokenizer, vqgan, bart, precision="fp32"), TextToImage(tokenizer, vqgan, bart)
    ask = *fast.encode_text(CAPTIONS), SEEDS, SAMPLING
    before = fast.predict(*ask)
    assert fast.fast is not None
    decoder = fast.fast._decoder
    assert torch.equal(fast.predict(*ask), before)
    assert fast.fast._decoder is decoder  # nothing has changed: it is kept
    with torch.no_grad():
        head = bart.decoder_weights()["head"]["weight"]
        head.add_(torch.randn_like(head))
    assert not torch.equal(fast.predict(*ask), before)
    assert torch.equal(fast.predict(*ask), readable.predict(*ask))
    fast.bart = parts()[2]
    assert torch.equal(fast.predict(*ask), before)


def test_a_model_made_in_inference_mode_draws_fast() -> None:
    with torch.inference_mode():
        made = parts()
    fast, readable = TextToImage(*made, precision="fp32"), TextToImage(*made)
    assert torch.equal(fast.draw(CAPTIONS, SEEDS, SAMPLING), readable.draw(CAPTIONS, SEEDS, SAMPLING))


def test_shipped_weights_draw_the_same_fast() -> None:
    readable, fast = load(), load(precision="fp32")
    text, mask = readable.encode_text(CAPTIONS)
    for sampling in (SHIPPED.sampling, SamplingConfig(top_k=50, guidance=3.0)):
        expected = readable.predict(text, mask, SEEDS, sampling)
        assert torch.equal(fast.predict(text, mask, SEEDS, sampling), expected)


def test_the_functions_that_may_be_replaced_are_known() -> None:
    homes = {key: exercise.reference.__module__ for key, exercise in EXERCISES.items()}
    known = {(home, name) for home, names in READABLE.items() for name in names}
    drawing = {(homes[key], EXERCISES[key].name) for key in homes if homes[key] in READABLE}
    assert known == drawing


@pytest.mark.parametrize(
    "key", ["bart.attend", "bart.glu_feed_forward", "generation.guide", "generation.generate_tokens"]
)
def test_a_students_function_takes_part_however_fast_it_should_be(pipeline: TextToImage, key: str) -> None:
    fast = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, precision="fp32")
    text, mask = pipeline.encode_text(CAPTIONS)
    expected = fast.predict(text, mask, SEEDS, SAMPLING)
    with use({key: EXERCISES[key].wrong[0]}):
        theirs = pipeline.predict(text, mask, SEEDS, SAMPLING)
        assert torch.equal(fast.predict(text, mask, SEEDS, SAMPLING), theirs)
    assert torch.equal(fast.predict(text, mask, SEEDS, SAMPLING), expected)


def test_a_precision_that_the_device_cannot_do_is_named() -> None:
    with pytest.raises(InvalidValue, match="precision='fp8': expected one of fp32, bf16, int8 on cpu"):
        load(precision="fp8")


@pytest.mark.parametrize("precision", [None, "fp32"])
def test_what_is_drawn_can_be_learned_from(pipeline: TextToImage, precision: str | None) -> None:
    """Tokens and pictures are tensors like any other: inference tensors could not be kept for a gradient."""
    own = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, precision)
    tokens = own.predict(*own.encode_text(CAPTIONS[:1]), SEEDS[:1], SAMPLING)
    drawn, weight = own.decode_image(tokens), torch.ones(1, requires_grad=True)
    table = torch.ones(64, 2, requires_grad=True)
    (torch.nn.functional.embedding(tokens, table).sum() + (drawn * weight).sum()).backward()
    assert weight.grad == drawn.sum()
    assert table.grad is not None


def test_a_device_is_picked_by_its_name(pipeline: TextToImage) -> None:
    for name in ("auto", "cpu", torch.device("cpu")):
        assert load(device=name).to(name).device == (pick_device() if name == "auto" else torch.device("cpu"))
    for move in (lambda: load(device="tpu"), lambda: pipeline.to("tpu")):
        with pytest.raises(InvalidValue, match="device='tpu': expected auto or one of cpu"):
            move()


def test_it_does_not_move_where_its_precision_is_not(pipeline: TextToImage) -> None:
    fast = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, precision="int8")
    with pytest.raises(InvalidValue, match="precision='int8': expected one of fp32, bf16, fp16 on cuda"):
        fast.to(torch.device("cuda"))


def test_a_saved_pipeline_draws_the_same(pipeline: TextToImage, tmp_path: Path) -> None:
    pipeline.save(str(tmp_path / "run"))
    again = load(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == ["bart.safetensors", "run.json", "tokenizer", "vqgan.safetensors"]
    assert (again.vqgan.config, again.bart.config) == (TINY.vqgan, TINY.bart)
    assert (again.vqgan.training, again.bart.training) == (False, False)
    assert torch.equal(again.draw(CAPTIONS, SEEDS, SAMPLING), pipeline.draw(CAPTIONS, SEEDS, SAMPLING))


def test_a_pipeline_knows_how_it_samples(pipeline: TextToImage, tmp_path: Path) -> None:
    own = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, sampling=SAMPLING)
    expected = pipeline.draw(CAPTIONS, SEEDS, SAMPLING)
    assert torch.equal(own.draw(CAPTIONS, SEEDS), expected)
    own.save(tmp_path)
    again = load(tmp_path)
    assert again.sampling == SAMPLING
    assert torch.equal(again.draw(CAPTIONS, SEEDS), expected)
    (tmp_path / "run.json").unlink()
    assert load(tmp_path).sampling == pipeline.sampling == SamplingConfig()


@pytest.mark.parametrize("missing", ["tokenizer", "vqgan.safetensors", "bart.safetensors"])
def test_an_unfinished_run_says_what_it_has_not(pipeline: TextToImage, tmp_path: Path, missing: str) -> None:
    pipeline.save(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidValue, match=f"run=.*finished run; it has no {missing}$"):
        load(tmp_path)


@pytest.mark.parametrize("damaged", ["tokenizer/tokenizer.json", "vqgan.safetensors", "bart.safetensors", "run.json"])
def test_a_damaged_part_is_named(pipeline: TextToImage, tmp_path: Path, damaged: str) -> None:
    pipeline.save(tmp_path)
    whole = (tmp_path / damaged).read_bytes()
    (tmp_path / damaged).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=f"{tmp_path / damaged}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("noted", "why"),
    [
        ({}, "KeyError: 'preset'"),
        ([], "TypeError"),
        ({"preset": {"sampling": {"warmth": 1}}}, "TypeError: .*'warmth'"),
        ({"preset": {"sampling": {"top_p": 2}}}, "InvalidValue: top_p=2"),
    ],
)
def test_notes_that_cannot_be_used_are_named(pipeline: TextToImage, tmp_path: Path, noted: object, why: str) -> None:
    pipeline.save(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(noted))
    (tmp_path / "bart.safetensors").write_bytes(b"as it was")
    with pytest.raises(CheckpointError, match=f"cannot use {tmp_path / 'run.json'}: {why}"):
        pipeline.save(tmp_path)
    assert (tmp_path / "bart.safetensors").read_bytes() == b"as it was"
    save_model(tmp_path / "bart.safetensors", pipeline.bart, pipeline.bart.config)
    with pytest.raises(CheckpointError, match=f"cannot use {tmp_path / 'run.json'}: {why}"):
        load(tmp_path)


def test_one_model_in_the_place_of_the_other_is_named(pipeline: TextToImage, tmp_path: Path) -> None:
    pipeline.save(tmp_path)
    (tmp_path / "bart.safetensors").write_bytes((tmp_path / "vqgan.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"bart.safetensors does not hold such a model: "):
        load(tmp_path)


def test_parts_that_do_not_fit_are_refused() -> None:
    tokenizer, vqgan, bart = parts()
    with pytest.raises(
        InvalidValue, match=r"bart codes, tokens=\(32, 16\): expected the VQGAN's 64 codes and 16 tokens"
    ):
        TextToImage(tokenizer, vqgan, Bart(replace(TINY.bart, image_codes=32)))
    with pytest.raises(
        InvalidValue, match=r"bart codes, tokens=\(64, 64\): expected the VQGAN's 64 codes and 16 tokens"
    ):
        TextToImage(tokenizer, vqgan, Bart(replace(TINY.bart, image_length=64)))
    with pytest.raises(InvalidValue, match=r"tokenizer vocab_size=\d+: expected at most 263 \(BART's\)"):
        TextToImage(tokenizer, vqgan, Bart(replace(TINY.bart, text_vocab=263)))
    long = Tokenizer.train(CAPTIONS, TokenizerConfig(vocab_size=300, text_length=25))
    with pytest.raises(InvalidValue, match=r"tokenizer text_length=25: expected at most 24 \(BART's\)"):
        TextToImage(long, vqgan, bart)


def test_a_seed_per_caption(pipeline: TextToImage) -> None:
    with pytest.raises(InvalidValue, match="seeds=1: expected one per caption: 2"):
        pipeline.draw(["a", "b"], [0])


def test_what_a_cell_shows_is_one_line(pipeline: TextToImage) -> None:
    pictures = CaptionedPictures(["cat"] * 9, np.zeros((9, 8, 8, 3), np.uint8), np.array(["train"] * 9))
    shown = [repr(one) for one in (pipeline, pipeline.tokenizer, pictures)]
    assert shown == [
        f"TextToImage({pipeline.tokenizer.vocab_size} text tokens, 64 codes, 16 pixels a side, device='cpu', "
        "precision=None)",
        f"Tokenizer(vocab_size={pipeline.tokenizer.vocab_size}, text_length=24)",
        "CaptionedPictures(9 pictures of 8×8)",
    ]
    assert repr(pipeline.bart.start(*pipeline.encode_text(["cat"]))) == "DecoderCache(position=0)"


def test_a_bare_string_is_no_list_of_captions(pipeline: TextToImage) -> None:
    with pytest.raises(InvalidValue, match="captions='red apple': expected a list"):
        pipeline.draw("red apple", [0])


@pytest.mark.parametrize("precision", [None, "fp32"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_no_captions_give_no_pictures(pipeline: TextToImage, precision: str | None, guidance: float) -> None:
    own = TextToImage(pipeline.tokenizer, pipeline.vqgan, pipeline.bart, precision)
    assert own.draw([], [], SamplingConfig(guidance=guidance)).shape == (0, 3, 16, 16)


def test_saving_into_a_runs_folder_keeps_what_is_noted_there(pipeline: TextToImage, tmp_path: Path) -> None:
    noted = {"preset": {"sampling": {"guidance": 9.0}, "training": {"seed": 3}}, "seconds": {"bart": 5}}
    save_json(tmp_path / "run.json", noted)
    pipeline.save(tmp_path)
    noted["preset"]["sampling"] = asdict(pipeline.sampling)
    assert load_json(tmp_path / "run.json") == noted
