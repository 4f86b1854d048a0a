"""Published files → a run of ours: the same numbers in every form, and pictures drawn from them with one command."""

import json
import subprocess
import sys
from pathlib import Path

import published_trees as trees
import pytest
import torch
from PIL import Image
from torch import Tensor

from minidalle.bart import Bart, BartConfig
from minidalle.checkpoint import load_model
from minidalle.cli.drawing import draw_captions, export_run, judge_of
from minidalle.errors import InvalidValue
from minidalle.pipeline import TextToImage, load
from minidalle.published import import_weights
from minidalle.sampling_config import SamplingConfig
from minidalle.vqgan import VQGAN, VQGANConfig

SHORT = SamplingConfig(guidance=10.0, top_k=20)


@pytest.fixture(scope="session")
def runs(leaves: dict[str, Tensor], painter: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same small DALL·E mini, imported from flax's two forms."""
    folder = tmp_path_factory.mktemp("runs")
    for form, tree in (("unscanned", leaves), ("scanned", trees.stack_layers(leaves))):
        trees.write_flax_dalle(folder / "source" / form, tree)
        trees.write_flax_vqgan(folder / "source" / form / "vqgan", painter)
        import_weights(str(folder / "source" / form), folder / form)
    return folder


@pytest.fixture(scope="session")
def torch_run(
    leaves: dict[str, Tensor], deep_painter: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same DALL·E mini, imported from torch's files, with a deeper VQGAN."""
    folder = tmp_path_factory.mktemp("torch")
    trees.write_torch_dalle(folder / "source", trees.as_torch(leaves), deep_painter)
    import_weights(str(folder / "source"), folder / "run")
    return folder / "run"


def test_what_was_written_is_what_was_read(runs: Path, leaves: dict[str, Tensor], painter: dict[str, Tensor]) -> None:
    pipeline = load(runs / "scanned")
    weights = pipeline.bart.state_dict()
    stem = "model/decoder/layers/FlaxBartDecoderLayer_1"
    pairs = {
        "decoder.layers.1.attention.key.weight": leaves[f"{stem}/FlaxBartAttention_0/k_proj/kernel"].T,
        "decoder.layers.1.cross_attention.value.weight": leaves[f"{stem}/FlaxBartAttention_1/v_proj/kernel"].T,
        "decoder.layers.1.cross_attention.before.bias": leaves[f"{stem}/LayerNorm_2/bias"],
        "decoder.layers.1.cross_attention.inside.scale": leaves[f"{stem}/LayerNorm_3/scale"],
        "decoder.layers.1.feed_forward.gate.weight": leaves[f"{stem}/GLU_0/Dense_0/kernel"].T,
        "decoder.layers.1.feed_forward.hidden.bias": leaves[f"{stem}/GLU_0/LayerNorm_1/bias"],
        "encoder.tokens.weight": leaves["model/encoder/embed_tokens/embedding"],
        "decoder.head.weight": leaves["lm_head/kernel"].T,
    }
    assert all(torch.equal(weights[name], tensor) for name, tensor in pairs.items())
    assert sum(weight.numel() for weight in weights.values()) == sum(leaf.numel() for leaf in leaves.values())
    painted = pipeline.vqgan.state_dict()
    assert torch.equal(painted["quantize.codebook"], painter["quantize.embedding.weight"])
    assert all(torch.equal(painted[name], painter[name]) for name in painted if name != "quantize.codebook")


def test_scanned_and_unscanned_trees_are_one_model(runs: Path) -> None:
    one, other = (load(runs / form).bart for form in ("scanned", "unscanned"))
    assert one.config == other.config
    assert all(torch.equal(weight, other.state_dict()[name]) for name, weight in one.state_dict().items())


def test_flax_and_torch_files_are_one_model(runs: Path, torch_run: Path) -> None:
    """Torch's has scales of ones where flax's has none; all else is the same, and so are the logits."""
    flax, torch_ = load(runs / "scanned"), load(torch_run)
    assert (flax.bart.config.scale_before_linear, torch_.bart.config.scale_before_linear) == (False, True)
    text, mask = flax.encode_text(trees.CAPTIONS[:2])
    assert torch.equal(text, torch_.encode_text(trees.CAPTIONS[:2])[0])
    tokens = torch.randint(0, 97, (2, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(flax.bart(text, mask, tokens), torch_.bart(text, mask, tokens), atol=1e-5, rtol=1e-5)


def test_the_pipeline_is_the_published_one(runs: Path) -> None:
    pipeline = load(runs / "scanned")
    assert pipeline.tokenizer.config.normalizer == "published"
    assert (pipeline.tokenizer.config.text_length, pipeline.bart.config.start_token) == (64, trees.CODES)
    assert pipeline.tokenizer.encode("An ARMCHAIR!") == pipeline.tokenizer.encode("an armchair")
    assert pipeline.sampling == SamplingConfig(guidance=10.0, top_k=256)
    text, mask = pipeline.encode_text([""])
    assert text[0, mask[0]].tolist() == pipeline.tokenizer.encode("")


def test_the_empty_caption_of_guidance_is_two_tokens(runs: Path) -> None:
    """The published null prompt is the tokens of "", not of the space that the normalizer puts in front."""
    pipeline = load(runs / "scanned")
    assert pipeline.tokenizer.encode("") == [0, 2]


def test_pixels_are_fed_to_the_vqgan_as_its_users_did(
    runs: Path, painter: dict[str, Tensor], deep_painter: dict[str, Tensor], tmp_path: Path
) -> None:
    """[0, 1] with DALL·E mini, whose makers encoded and clipped so; [−1, 1] for taming's alone, as it was trained."""
    assert load(runs / "scanned").vqgan.config.pixel_range == (0.0, 1.0)
    (tmp_path / "taming" / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": painter}, tmp_path / "taming" / "checkpoints" / "last.ckpt")
    (tmp_path / "taming" / "configs").mkdir()
    (tmp_path / "taming" / "configs" / "model.yaml").write_text(
        "model:\n  params:\n    ddconfig:\n      resolution: 64\n"
    )
    import_weights(str(tmp_path / "taming"), tmp_path / "out")
    assert not (tmp_path / "out" / "bart.safetensors").exists()
    alone = read_vqgan(tmp_path / "out")
    assert (alone.config.pixel_range, alone.config.image_size) == ((-1.0, 1.0), trees.SIDE)
    fed = load(runs / "scanned").vqgan
    tokens = torch.randint(0, trees.CODES, (1, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        raw = fed.pictures(fed.quantize.codes()[tokens])
        assert torch.equal(alone.pictures(alone.quantize.codes()[tokens]), (raw + 1) / 2)
        assert torch.equal(fed.decode(tokens), raw.clamp(0, 1))
        picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        assert torch.equal(alone.latents(picture), fed.latents(2 * picture - 1))


def read_vqgan(run: Path) -> VQGAN:
    return load_model(run / "vqgan.safetensors", lambda **fields: VQGAN(VQGANConfig(**fields)))


def test_flax_and_taming_files_are_one_vqgan(painter: dict[str, Tensor], tmp_path: Path) -> None:
    trees.write_flax_vqgan(tmp_path / "flax", painter)
    (tmp_path / "taming").mkdir()
    discriminator = {"loss.discriminator.main.0.weight": torch.ones(3), "loss.logvar": torch.ones(())}
    torch.save({"state_dict": {**painter, **discriminator}, "epoch": 3}, tmp_path / "taming" / "last.ckpt")
    (tmp_path / "taming" / "model.yaml").write_text("resolution: 64  # pixels\n")
    models = []
    for form in ("flax", "taming"):
        import_weights(str(tmp_path / form), tmp_path / f"{form}-out")
        models.append(read_vqgan(tmp_path / f"{form}-out"))
    assert models[0].config == models[1].config
    assert all(torch.equal(weight, models[1].state_dict()[name]) for name, weight in models[0].state_dict().items())
    picture = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert len(models[0].encode(picture).unique()) > 20


def test_the_group_norm_keeps_the_epsilon_it_was_trained_with() -> None:
    """1e-6 in taming and its flax port, 1e-5 in min-dalle: where a group hardly varies, it matters."""
    from minidalle.vqgan.blocks import normalize

    x = 1e-3 * torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    weights = {"norm": {"weight": torch.ones(32), "bias": torch.zeros(32)}}
    ours, group = normalize(weights, "norm", x, 8), torch.nn.functional.group_norm
    torch.testing.assert_close(ours, group(x, 8, eps=1e-6))
    assert (ours - group(x, 8, eps=1e-5)).abs().max() > 0.5


def test_a_vqgan_without_an_encoder_paints_and_says_what_it_cannot(torch_run: Path) -> None:
    pipeline = load(torch_run)
    assert pipeline.vqgan.config.decoder_only
    assert pipeline.decode_image(torch.zeros(1, 256, dtype=torch.long)).shape == (1, 3, 256, 256)
    with pytest.raises(InvalidValue, match="decoder_only=True: expected a VQGAN with an encoder"):
        pipeline.vqgan.encode(torch.zeros(1, 3, 256, 256))


def test_the_small_one_of_two(leaves: dict[str, Tensor], deep_painter: dict[str, Tensor], tmp_path: Path) -> None:
    halves = trees.as_torch(leaves)
    trees.write_torch_dalle(tmp_path / "both", halves, deep_painter, "_mini")
    other = {side: {name: tensor + 1 for name, tensor in half.items()} for side, half in halves.items()}
    trees.write_torch_dalle(tmp_path / "both", other, deep_painter)
    import_weights(str(tmp_path / "both"), tmp_path / "small", mini=True)
    import_weights(str(tmp_path / "both"), tmp_path / "large")
    small, large = (load(tmp_path / name).bart.state_dict() for name in ("small", "large"))
    name = "encoder.layers.0.attention.query.weight"
    assert torch.equal(small[name] + 1, large[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_what_it_is_on_disk(
    leaves: dict[str, Tensor], painter: dict[str, Tensor], dtype: torch.dtype, tmp_path: Path
) -> None:
    half = {name: leaf.to(dtype) for name, leaf in leaves.items()}
    trees.write_flax_dalle(tmp_path / "half", trees.stack_layers(half))
    trees.write_flax_vqgan(tmp_path / "half" / "vqgan", painter)
    import_weights(str(tmp_path / "half"), tmp_path / "run")
    size = (tmp_path / "run" / "bart.safetensors").stat().st_size
    assert size < 2.1 * sum(leaf.numel() for leaf in leaves.values())
    bart, small = load(tmp_path / "run").bart, load(tmp_path / "run", dtype=torch.bfloat16)
    assert bart.decoder["head"].weight.dtype == torch.float32
    assert torch.equal(bart.decoder["head"].weight, half["lm_head/kernel"].T.float())
    assert small.bart.decoder["head"].weight.dtype == torch.bfloat16
    assert next(small.vqgan.parameters()).dtype == torch.float32
    assert small.draw(["a red apple"], [0], SHORT).isfinite().all()


def test_one_command_imports_and_one_draws(runs: Path, tmp_path: Path) -> None:
    def minidalle(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "minidalle", *arguments], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = minidalle("import", str(runs / "source" / "scanned"), "--out", "run")
    assert "vqgan: " in said
    assert "bart: 0.6 million parameters, 0.00 GB" in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["imported"]["source"]
    minidalle("generate", "--run", "run", "an armchair in the shape of an avocado", "--out", "a.png", "--seed", "3")
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) >= trees.SIDE


def test_published_files_given_to_generate_are_told_to_be_imported(runs: Path, tmp_path: Path) -> None:
    source = runs / "source" / "scanned"
    with pytest.raises(InvalidValue, match=f"minidalle import {source} --out FOLDER"):
        draw_captions(["a red apple"], 1, {}, 0, 1, source, tmp_path / "a.png", "cpu")


def test_the_judge_of_emoji_does_not_choose_among_their_drawings(runs: Path, tmp_path: Path) -> None:
    assert judge_of(runs / "scanned", "reranker", torch.device("cpu")) is None
    export_run(runs / "scanned", tmp_path / "exported")
    assert judge_of(tmp_path / "exported", "reranker", torch.device("cpu")) is None
    exported, whole = load(tmp_path / "exported"), load(runs / "scanned")
    assert (exported.sampling, exported.bart.config) == (whole.sampling, whole.bart.config)


def test_bart_of_a_run_and_its_config_survive(runs: Path) -> None:
    bart = load_model(runs / "scanned" / "bart.safetensors", lambda **fields: Bart(BartConfig(**fields)))
    expected = BartConfig(
        text_vocab=300, text_length=64, image_codes=96, image_length=256, image_extra=1, width=128, heads=2, hidden=80,
        encoder_layers=2, decoder_layers=2, start=96, norm="normformer", embedding_norm=True,
        scale_before_linear=False, glu=True, positions="absolute",
    )  # fmt: skip
    assert bart.config == expected
    assert isinstance(load(runs / "scanned"), TextToImage)
