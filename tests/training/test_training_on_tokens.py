"""A BART trained from tokens on disk is the BART that is trained from pictures, and a run like any other."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import encoding_world as world
import numpy as np
import pytest
import torch
from training_recipes import squares, tiny

from minidalle.bart import Bart
from minidalle.checkpoint import load_json, save_json, save_model
from minidalle.cli.app import app
from minidalle.data import DataConfig, foreign_pictures
from minidalle.data.origin import data_of
from minidalle.data.token_shards import TokenShards
from minidalle.data.tokens import tokenize
from minidalle.errors import InvalidValue
from minidalle.pipeline import TextToImage, load
from minidalle.presets import PRESETS, Preset
from minidalle.run import STAGES, _train
from minidalle.run import run as run_all
from minidalle.run_notes import note_codec, noted_run, settings_of
from minidalle.token_run import run_on_tokens
from minidalle.training.bart import BartStage
from minidalle.training.calibration import calibrate
from minidalle.training.codec import load_codec
from minidalle.training.distributed import Ranks
from minidalle.training.encoding import encode_share

CPU = torch.device("cpu")
BART = replace(tiny().training.bart, steps=12, warmup=2, draft_steps=4, style_dropout=0.25, checkpoint_every=6,
               caption_dropout=0.1, token_noise=0.2)  # fmt: skip


@pytest.fixture(scope="module")
def tokens(source: DataConfig, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures encoded, in several parts."""
    out = tmp_path_factory.mktemp("encoded") / "boxes"
    encode_share(source, run, out, device=CPU, part_rows=32)
    return out


def stage(source: DataConfig, tokens: Path, streamed: bool) -> BartStage:
    codec = load_codec(tokens, CPU)
    torch.manual_seed(0)
    bart = Bart(replace(tiny().bart, text_vocab=codec.tokenizer.vocab_size))
    pipeline = TextToImage(codec.tokenizer, codec.vqgan, bart)
    if streamed:
        shards = TokenShards(tokens, codec.paint)
        return BartStage(BART, bart, shards, shards, pipeline, 0, Ranks())
    pictures = foreign_pictures(source, 16)
    encoders = codec.tokenizer.encode_batch, codec.vqgan.encode
    own = tokenize(pictures.captions, pictures.pictures, *encoders, CPU, batch_size=64)
    return BartStage(BART, bart, pictures, own, pipeline, 0, Ranks())


def test_the_same_losses_step_by_step(source: DataConfig, tokens: Path) -> None:
    """Drafts, captions that are dropped or lose their style, noise: all that a batch can have."""
    streamed, plain = stage(source, tokens, True), stage(source, tokens, False)
    for n in range(12):
        assert streamed.step(n) == plain.step(n)
        assert streamed.batch_name(n) == plain.batch_name(n)
    assert streamed.evaluate() == plain.evaluate()
    ours, theirs = streamed.tensors(), plain.tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    dev = plain.pictures.rows("dev")
    assert calibrate(streamed.average.model, streamed.tokens, dev) == calibrate(plain.average.model, plain.tokens, dev)


def test_samples_show_what_the_true_tokens_show(source: DataConfig, tokens: Path) -> None:
    streamed = stage(source, tokens, True)
    rows = streamed.pictures.rows("dev")[:16]
    pictures = foreign_pictures(source, 16).pictures[rows]
    vqgan = streamed.codec.vqgan
    with torch.no_grad():
        again = vqgan.decode(vqgan.encode(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255))
    expected = (again * 255).round().byte().permute(0, 2, 3, 1).numpy()
    sheet = streamed.sample()
    assert sheet.shape[1] > 16 * 32
    assert np.array_equal(sheet[4 : 4 + 32 : 2, 4 : 4 + 32 : 2], expected[0])


@pytest.fixture(scope="module")
def trained(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained by the command line on the tokens alone."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setitem(PRESETS, "tiny", replace(tiny(), training=replace(tiny().training, bart=BART)))
        app(("train", "bart", "--preset", "tiny", "--tokens", str(tokens), "--device", "cpu", "--ranks", "1"),
            standalone_mode=False)  # fmt: skip
    return place / "runs" / "tiny-boxes"


def test_a_run_of_tokens_is_a_run(tokens: Path, trained: Path, source: DataConfig) -> None:
    pipeline = load(trained)
    assert pipeline.draw(["red boxes no. 3"], [0]).shape == (1, 3, 16, 16)
    assert data_of(trained) == source
    noted = load_json(trained / "run.json")
    encoding = load_codec(tokens, CPU).encoding()
    assert noted["codec"] == {"tokenizer": encoding.tokenizer, "vqgan": encoding.vqgan}
    assert (noted["data"]["pictures"], noted["preset"]["bart"]["text_vocab"]) == (145, pipeline.tokenizer.vocab_size)
    assert [path.name for path in sorted((trained / "training/bart/samples").iterdir())] == ["000006.png", "000012.png"]
    assert load_codec(trained, CPU).encoding() == load_codec(tokens, CPU).encoding()
    app(("evaluate", "--run", str(trained)), standalone_mode=False)
    scores = load_json(trained / "evaluation" / "evaluation.json")
    assert {row["split"] for row in scores["scores"]} == {"train", "dev"}


def test_a_run_keeps_to_its_tokens(
    trained: Path, tokens: Path, source: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = replace(tiny(), training=replace(tiny().training, bart=BART))
    before = (trained / "bart.safetensors").stat().st_mtime_ns
    run_on_tokens(preset, trained, tokens, "cpu", 1)
    assert (trained / "bart.safetensors").stat().st_mtime_ns == before
    encode_share(replace(source, most=60), tokens, tmp_path / "fewer", device=CPU)
    with pytest.raises(InvalidValue, match=r"data: 145 pictures of \S+ \(\w+\) → 58 pictures"):
        run_on_tokens(preset, trained, tmp_path / "fewer", "cpu", 1)
    with pytest.raises(InvalidValue, match=r"bart\.width: 32 → 64"):
        run_on_tokens(replace(preset, bart=replace(preset.bart, width=64)), trained, tokens, "cpu", 1)
    with pytest.raises(InvalidValue, match="holds a run with other settings"):
        run_all(preset, trained, "cpu", 1, data=source)


def test_tokens_that_others_made_are_refused(tokens: Path, tmp_path: Path) -> None:
    shutil.copytree(tokens, tmp_path / "tokens")
    other = world.write_run(tmp_path / "other", seed=1).vqgan
    save_model(tmp_path / "tokens" / "vqgan.safetensors", other, other.config)
    with pytest.raises(InvalidValue, match="the tokenizer and the VQGAN that encoded them in their folder, not others"):
        run_on_tokens(tiny(), tmp_path / "run", tmp_path / "tokens", "cpu", 1)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a run whose tokenizer and VQGAN are there."""
    world.write_run(tmp_path)
    save_json(tmp_path / "run.json", settings_of(tiny()))
    return tmp_path


def another_vqgan(folder: Path) -> None:
    (folder / "vqgan.safetensors").unlink()
    vqgan = world.write_run(folder / "elsewhere", seed=1).vqgan
    save_model(folder / "vqgan.safetensors", vqgan, vqgan.config)


@pytest.mark.parametrize("place", ["training/bart", "bart.safetensors"])
def test_a_bart_neither_goes_on_nor_stays_with_another_vqgan(begun: Path, place: str) -> None:
    note_codec(begun)
    assert noted_run(begun, other_rate(), STAGES, print) is not None  # it has not begun, and may have other settings
    (begun / place).mkdir(parents=True)
    note_codec(begun)  # the same one
    another_vqgan(begun)
    with pytest.raises(InvalidValue, match="holds a BART that learnt the tokens of another vqgan: bring that back, or"):
        _train(tiny(), begun, "cpu", STAGES, None, print, squares, lambda *work, **first: pytest.fail("began"), False)
    (begun / place).rmdir()
    note_codec(begun)  # there is none any more: it may begin
    (begun / place).mkdir()
    note_codec(begun)


def other_rate() -> Preset:
    bart = replace(tiny().training.bart, learning_rate=0.5)
    return replace(tiny(), training=replace(tiny().training, bart=bart))


def test_a_bart_begun_before_its_codec_was_noted_goes_on(begun: Path) -> None:
    (begun / "training" / "bart").mkdir(parents=True)
    note_codec(begun)
    another_vqgan(begun)
    note_codec(begun)
    assert "codec" not in load_json(begun / "run.json")


REFUSED = {
    ("train", "vqgan", "--tokens", "x"): "--tokens='x': expected none for train vqgan: only train bart reads them",
    ("train", "bart", "--tokens", "x", "--data", "y"): "--data='y': expected no pictures beside --tokens",
    ("train", "bart", "--tokens", "x"): "--tokens='x': expected a folder that minidalle encode has written",
    ("encode", "x", "--out", "y", "--shard", "4/4"): "--shard='4/4': expected I/N with 0 ≤ I < N",
    ("encode", "x", "--out", "y"): "SOURCE='x': expected a folder, parquet or tar files, or owner/name",
    ("encode", "x", "--out", "y", "--run", "z"): "--run='z': expected a run with both parts",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refused(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValue, match=re.escape(REFUSED[arguments])) as error:
        app(arguments, standalone_mode=False)
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
