"""The stages: batches that depend on (seed, step) alone, what is measured on dev, files that are whole or not there."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from training_recipes import squares, tiny, worded

from minidalle.bart import Bart, sequence_loss, shift_right
from minidalle.checkpoint import CheckpointError
from minidalle.data import CaptionedPictures
from minidalle.data.pixels import pictures_at_once, to_floats
from minidalle.data.tokens import tokenize
from minidalle.errors import InvalidValue
from minidalle.pipeline import TextToImage
from minidalle.presets import PRESETS
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training import stages, vqgan
from minidalle.training.bart import BartStage
from minidalle.training.config import BartTraining
from minidalle.training.distributed import Ranks
from minidalle.training.loop import Diverged
from minidalle.training.vqgan import VQGANStage, reconstruct
from minidalle.vqgan import VQGAN
from minidalle.vqgan.losses import LossWeights, reconstruction_loss


def vqgan_stage(rank: int = 0, size: int = 1, pictures: CaptionedPictures | None = None, **changes) -> VQGANStage:  # type: ignore[no-untyped-def]
    """A stage as one of several ranks would have it, which never talks to the others."""
    torch.manual_seed(0)
    model = VQGAN(tiny().vqgan)
    config = replace(tiny().training.vqgan, **{"discriminator_start": None, **changes})
    stage = VQGANStage(config, model, pictures or squares(), 0, Ranks())
    stage.ranks = Ranks(rank, size)
    return stage


def bart_stage(  # type: ignore[no-untyped-def]
    rank: int = 0, size: int = 1, draft_width: int = 8, pictures: CaptionedPictures | None = None, **changes
) -> BartStage:
    torch.manual_seed(0)
    painter, bart = VQGAN(tiny().vqgan), Bart(replace(tiny().bart, draft_width=draft_width))
    pictures = pictures or squares()
    tokenizer = Tokenizer.train(pictures.captions, tiny().tokenizer)
    with torch.no_grad():
        painter.quantize.codebook.mul_(64)
    encoders = tokenizer.encode_batch, painter.encode
    tokens = tokenize(pictures.captions, pictures.pictures, *encoders, torch.device("cpu"))
    config: BartTraining = replace(tiny().training.bart, **changes)
    stage = BartStage(config, bart, pictures, tokens, TextToImage(tokenizer, painter, bart), 0, Ranks())
    stage.ranks = Ranks(rank, size)
    return stage


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    asked, fresh = vqgan_stage(), vqgan_stage()
    for n in (9, 3, 50, 3):
        asked._rows(n)
    torch.manual_seed(123)
    for n in (0, 7, 8, 1000):
        assert (asked._rows(n) == fresh._rows(n)).all()
    other = vqgan_stage()
    other.seed = 1
    assert (other._rows(0) != fresh._rows(0)).any()
    epoch = np.concatenate([fresh._rows(n) for n in range(8)])
    assert set(epoch) <= set(fresh.pictures.rows("train"))


def test_rows_are_thinned_where_there_are_some_to_thin() -> None:
    """Else a batch would look at every row of a large data set, for nothing."""
    assert vqgan_stage().thin is not None
    assert vqgan_stage(thin_toned=False).thin is None
    assert vqgan_stage(pictures=replace(squares(), columns={})).thin is None


def test_the_ranks_share_a_batch() -> None:
    whole = vqgan_stage()._rows(5)
    shares = [vqgan_stage(rank, 2)._rows(5) for rank in range(2)]
    assert (np.concatenate(shares) == whole).all()
    assert vqgan_stage(1, 2).batch_name(5) == vqgan_stage().batch_name(5)  # the batch of all, on every rank
    assert vqgan_stage().batch_name(5).startswith(f"row {whole[0]}: {squares().captions[whole[0]]}; row {whole[1]}: ")


def test_a_barts_batch_depends_on_the_seed_the_step_and_the_rank_alone() -> None:
    asked, fresh = bart_stage(), bart_stage()
    asked._batch(4)
    torch.manual_seed(9)
    torch.rand(3)
    for n in (0, 17):
        assert all(torch.equal(a, b) for a, b in zip(asked._batch(n), fresh._batch(n), strict=True))
    shares = [bart_stage(rank, 2)._batch(3) for rank in range(2)]
    assert torch.equal(torch.cat([share[3] for share in shares]), fresh._batch(3)[3])


def test_captions_are_dropped_and_tokens_replaced_as_often_as_is_asked() -> None:
    stage = bart_stage(batch_size=64, caption_dropout=0.25, token_noise=0.5)
    plain = bart_stage(batch_size=64, caption_dropout=0.0, token_noise=0.0)
    dropped, replaced = [], []
    for n in range(30):
        text, mask, image_in, image, _ = stage._batch(n)
        clean_text, clean_mask, clean_in, clean_image, _ = plain._batch(n)
        assert torch.equal(image, clean_image)
        assert torch.equal(clean_in, shift_right(clean_image, stage.bart.config.start_token))
        assert torch.equal(image_in[:, 0], clean_in[:, 0])
        assert clean_mask.sum(1).min() > 2
        null = mask.sum(1) == 2
        assert (text[null, :2] == torch.tensor([0, 2])).all()
        kept = clean_text[~null][:, : text.shape[1]]
        assert torch.equal(text[~null], kept)
        dropped.append(null.float().mean())
        others = shift_right(image.roll(1, 0), 0)[:, 1:]
        changed = image_in[:, 1:] != clean_in[:, 1:]
        assert (image_in[:, 1:][changed] == others[changed]).all()
        differ = others != clean_in[:, 1:]
        replaced.append((changed & differ).sum() / differ.sum())
    assert torch.stack(dropped).mean().item() == pytest.approx(0.25, abs=0.04)
    assert torch.stack(replaced).mean().item() == pytest.approx(0.25, abs=0.03)  # uniform between 0 and a half


def test_dev_loss_of_a_vqgan_is_the_mean_over_dev() -> None:
    stage = vqgan_stage()
    pictures = to_floats(stage.pictures.pictures[stage.pictures.rows("dev")], torch.device("cpu"))
    with torch.no_grad():
        drawn = stage.average.model.decode(stage.average.model.encode(pictures))
    expected = reconstruction_loss(drawn, pictures, LossWeights(1, 2, 1)).item()
    mse = (drawn - pictures).square().flatten(1).mean(1).double()
    assert stage.evaluate()["dev_loss"] == pytest.approx(expected, rel=1e-5)
    assert stage.evaluate()["dev_psnr"] == pytest.approx((-10 * mse.log10()).mean().item(), rel=1e-5)


def test_dev_loss_of_a_bart_is_the_mean_over_all_tokens_of_dev() -> None:
    stage = bart_stage()
    rows = torch.from_numpy(stage.pictures.rows("dev"))
    tokens = stage.tokens
    start = stage.bart.config.start_token
    with torch.no_grad():
        logits = stage.average.model(tokens.text[rows], tokens.text_mask[rows], shift_right(tokens.image[rows], start))
    expected = sequence_loss(logits, tokens.image[rows]).item()
    assert stage.evaluate()["dev_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_dev_split_smaller_than_the_ranks_is_measured_all_the_same() -> None:
    splits = np.array(["train"] * 159 + ["dev"])
    few = replace(squares(), splits=splits)
    stage = vqgan_stage(pictures=few)
    alone = stage.evaluate()
    stage.ranks = NobodyElse(0, 2)  # rank 0 of 2 has no row of dev
    with pytest.raises(ZeroDivisionError):
        stage.evaluate()
    stage.ranks = NobodyElse(1, 2)
    assert stage.evaluate() == alone


class NobodyElse(Ranks):
    """A rank whose sums are its own."""

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


def test_sample_sheets(tmp_path: Path) -> None:
    for stage in (vqgan_stage(), bart_stage()):
        sheet = stage.sample()
        assert sheet.dtype == np.uint8
        assert sheet.ndim == 3
        assert sheet.shape[2] == 3
        assert sheet.shape[1] > sheet.shape[0]


def test_evaluating_and_sampling_leave_the_training_alone() -> None:
    for make in (vqgan_stage, bart_stage):
        plain, watched = make(), make()
        for n in range(3):
            first = plain.step(n)
            second = watched.step(n)
            watched.evaluate()
            watched.sample()
            assert first == second
        ours, theirs = plain.tensors(), watched.tensors()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_large_pictures_are_encoded_in_parts_for_the_first_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones at once, as ever: up to the preset gpu-128 the first codes have the same bits."""
    most = {name: vqgan.KMEANS_PIXELS // preset.vqgan.image_size**2 for name, preset in PRESETS.items()}
    assert min(most[name] for name in most if not name.startswith("dalle")) == vqgan.KMEANS_PICTURES
    assert most["dalle-mini"] == 128
    books, sizes = [], []
    for pixels in (vqgan.KMEANS_PIXELS, 50 * 16**2):
        stage = vqgan_stage()
        latents = stage.vqgan.latents
        monkeypatch.setattr(vqgan, "KMEANS_PIXELS", pixels)
        monkeypatch.setattr(stage.vqgan, "latents", lambda x, of=latents: (sizes.append(len(x)), of(x))[1])
        stage._start_codebook(0)
        books.append(stage.vqgan.quantize.codebook)
    assert sizes == [128, 50, 50, 28]
    torch.testing.assert_close(*books)


def test_large_pictures_are_evaluated_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, sizes = vqgan_stage(), []
    whole = stage.evaluate()
    monkeypatch.setattr(vqgan, "pictures_at_once", partial(pictures_at_once, pixels=15 * 16**2))
    monkeypatch.setattr(vqgan, "reconstruct", lambda model, x: (sizes.append(len(x)), reconstruct(model, x))[1])
    assert stage.evaluate() == pytest.approx(whole, rel=1e-5)
    assert sizes == [15, 15, 2]


def test_an_epoch_may_end_before_there_are_codes() -> None:
    stage = vqgan_stage(unquantized=12)
    seen = [stage.step(n) for n in range(17)]
    assert "perplexity" not in seen[11]
    assert 1 <= seen[-1]["perplexity"] <= seen[-1]["codes_used"] <= 64


def test_the_numbers_of_the_last_epoch_survive_a_resume_exactly() -> None:
    stage, resumed = vqgan_stage(unquantized=1), vqgan_stage(unquantized=1)
    for n in range(10):
        numbers = stage.step(n)
    resumed.restore({name: value.clone() for name, value in stage.tensors().items()})
    assert "perplexity" in numbers
    assert resumed.step(10) == stage.step(10)
    assert resumed.usage == stage.usage


def test_some_captions_are_said_in_other_words() -> None:
    plain = bart_stage(pictures=worded(), caption_dropout=0.0)
    stage = bart_stage(pictures=worded(), caption_dropout=0.0, reword=0.5, draft_steps=3)
    rows = torch.from_numpy(np.tile(stage.rows, 8))
    text, mask = stage._text(3, rows)
    was, _ = plain._text(3, rows)
    assert torch.equal(stage._text(2, rows)[0], was)  # while the draft learns alone, captions stay
    changed = (text != was).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.5 * 0.93, abs=0.06)  # a few stay by chance
    assert torch.equal(was, plain.tokens.text[rows])
    said = [stage.codec.tokenizer.decode(ids[real].tolist()) for ids, real in zip(text, mask, strict=True)]
    assert any("tile" in caption or "box" in caption for caption in said)
    assert torch.equal(stage._text(3, rows)[0], text)
    assert not torch.equal(stage._text(4, rows)[0], text)
    assert torch.equal(stage.tokens.text, plain.tokens.text)  # what is measured stays as it is


def test_other_words_do_not_crowd_out_the_words_of_captions(tmp_path: Path) -> None:
    config = TokenizerConfig(vocab_size=290, text_length=24)
    stages.train_tokenizer(tmp_path, config, worded, reword=True)
    pictures = worded()
    captions = [pictures.captions[row] for row in pictures.rows("train")]
    once = Tokenizer.train([*captions, "box", "tile"], config)
    often = Tokenizer.train([*captions, *["box", "tile"] * len(captions)], config)
    assert Tokenizer.load(tmp_path / "tokenizer").merges == once.merges != often.merges
    stages.train_tokenizer(tmp_path / "wordless", config, squares, reword=True)  # has no other words: no matter


def test_styles_are_left_out_in_all_steps() -> None:
    stage = bart_stage(pictures=worded(), style_dropout=0.4, draft_steps=3)
    rows = torch.from_numpy(np.tile(stage.rows, 4))
    for n in (0, 5):
        text, mask = stage._text(n, rows)
        said = [stage.codec.tokenizer.decode(ids[real].tolist()) for ids, real in zip(text, mask, strict=True)]
        whole = [stage.pictures.captions[row] for row in rows]
        bare = [ours == caption.removesuffix(", noto style") for ours, caption in zip(said, whole, strict=True)]
        assert np.mean(bare) == pytest.approx(0.4, abs=0.08)
        assert all(ours == caption for ours, caption, is_bare in zip(said, whole, bare, strict=True) if not is_bare)


def test_pictures_without_other_words_keep_their_captions() -> None:
    stage = bart_stage(reword=0.9)
    rows = torch.from_numpy(stage.rows)
    assert torch.equal(stage._text(0, rows)[0], stage.tokens.text[rows])


def test_every_second_picture_is_mirrored() -> None:
    seen = []
    stage = vqgan_stage(flip=True, unquantized=59)
    stage.shared = lambda pictures, quantized: seen.append(pictures) or stage.vqgan(pictures, quantized)  # type: ignore[assignment, func-returns-value]
    for n in range(8):
        stage.step(n)
    real = torch.cat([stage._load(stage._rows(n)) for n in range(8)])
    same = (torch.cat(seen) == real).flatten(1).all(dim=1)
    mirrored = (torch.cat(seen) == real.flip(-1)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 0.3 < mirrored.float().mean() < 0.7


def test_a_codebook_that_learns_by_gradient_is_left_to_adamw() -> None:
    model = VQGAN(replace(tiny().vqgan, ema_decay=0.0, restart_below=0.0))
    config = replace(tiny().training.vqgan, optimizer="muon")
    (adamw,) = VQGANStage(config, model, squares(), 0, Ranks()).optimizers.all  # the other weights are no matrices
    assert any(p is model.quantize.codebook for p in adamw.param_groups[0]["params"])


def test_draft_steps_need_a_draft() -> None:
    with pytest.raises(InvalidValue, match="draft_steps=10: expected 0 for a BART without a draft"):
        bart_stage(draft_width=0)
    assert "draft_mse" not in bart_stage(draft_width=0, draft_steps=0).step(0)


def test_a_tokenizer_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Tokenizer.save

    def killed(tokenizer: Tokenizer, folder: Path) -> None:
        save(tokenizer, folder)
        (folder / "tokenizer.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(Tokenizer, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    assert not (tmp_path / "tokenizer").exists()
    monkeypatch.undo()
    stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    assert os.listdir(tmp_path) == ["tokenizer"]
    assert Tokenizer.load(tmp_path / "tokenizer").decode(Tokenizer.load(tmp_path / "tokenizer").encode("é")) == "é"


def test_a_bart_needs_a_tokenizer_and_a_vqgan(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tokenizer"):
        stages.train_bart(Ranks(), tmp_path, tiny().bart, tiny().training, squares, "cpu")
    stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    with pytest.raises(CheckpointError, match=r"vqgan.safetensors: there is no such file"):
        stages.train_bart(Ranks(), tmp_path, tiny().bart, tiny().training, squares, "cpu")


@pytest.mark.parametrize("stage", ["vqgan", "bart"])
def test_a_batch_that_is_no_number_is_named_on_one_rank(tmp_path: Path, stage: str) -> None:
    from training_recipes import spoiled

    training = replace(tiny().training, vqgan=replace(tiny().training.vqgan, steps=22))
    stages.train_tokenizer(tmp_path, tiny().tokenizer, squares)
    if stage == "bart":
        stages.train_vqgan(Ranks(), tmp_path, tiny().vqgan, training, squares, "cpu")
    work, shape = (stages.train_vqgan, tiny().vqgan) if stage == "vqgan" else (stages.train_bart, tiny().bart)
    with pytest.raises(Diverged, match=rf"^{stage}, step 21: .*nan.* The batch: row \d+: .*\(16 rows\)$"):
        spoiled(Ranks(), "nan", 21, 0, work, tmp_path, shape, training, squares, "cpu")
    checkpoints = tmp_path / "training" / stage / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["000020"]
    assert not (tmp_path / f"{stage}.safetensors").exists()
