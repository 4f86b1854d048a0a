"""Imported weights against independent programs that read the same files: min-dalle's parts, transformers' BART."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import published_trees as trees
import pytest
import tokenizers
import torch
import transformers
from torch import Tensor

from minidalle.bart import Bart, BartConfig, shift_right
from minidalle.checkpoint import load_model, load_tensors, save_tensors
from minidalle.pipeline import load
from minidalle.published import import_weights
from minidalle.tokenization import Tokenizer, normalize_caption
from minidalle.tokenization.config import Normalizer
from minidalle.vqgan import VQGAN, VQGANConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
import min_dalle_peer

PEER = Path(__file__).parents[1] / "min_dalle_bart_peer.py"
STEPS = 4
CHOSEN = ["a red apple", "An armchair, in the shape of an AVOCADO!", "", "two women; dark skin tone 🍎 #redapple"]


@pytest.fixture(scope="module")
def both(
    leaves: dict[str, Tensor], deep_painter: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict, dict]:
    """What we and min-dalle make of the same `encoder.pt` and `decoder.pt`."""
    folder = tmp_path_factory.mktemp("min-dalle")
    trees.write_torch_dalle(folder / "source", trees.as_torch(leaves), deep_painter)
    import_weights(str(folder / "source"), folder / "run")
    pipeline = load(folder / "run")
    text, mask = pipeline.encode_text(CHOSEN[:2])
    image_in = torch.randint(0, 97, (1, 256), generator=torch.Generator().manual_seed(3))
    question = {"text": text, "image_in": image_in}
    for side in ("encoder", "decoder"):
        half = torch.load(folder / "source" / f"{side}.pt", weights_only=True)
        question |= {f"{side}.{name}": tensor for name, tensor in half.items()}
    sizes = {"width": 128, "heads": 2, "hidden": 80, "layers": 2, "text_vocab": 300, "codes": 96, "steps": STEPS}
    save_tensors(folder / "in.safetensors", question, {name: str(value) for name, value in sizes.items()})
    command = [sys.executable, str(PEER), str(folder / "in.safetensors"), str(folder / "out.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pair, bart = image_in.expand(2, -1), pipeline.bart
    with torch.no_grad():
        cache = bart.start(text, mask)
        ours = {
            "memory": bart.encode(text, mask),
            "whole": bart(text, mask, pair),
            "steps": torch.stack([bart.step(tokens, cache) for tokens in pair.T[:STEPS]], 1),
        }
    return ours, load_tensors(folder / "out.safetensors")


@pytest.mark.parametrize("what", ["memory", "whole", "steps"])
def test_imported_bart_equals_min_dalle(both: tuple[dict, dict], what: str) -> None:
    ours, theirs = both
    assert theirs[what].std() > 0.3
    torch.testing.assert_close(ours[what], theirs[what], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_imported_vqgan_equals_min_dalle(
    imagenet: dict[str, Tensor], leaves: dict[str, Tensor], tmp_path: Path
) -> None:
    """At the published size, which is the only one that min-dalle has."""
    half = trees.detoker(imagenet)
    (tmp_path / "source").mkdir()
    torch.save(half, tmp_path / "source" / "detoker.pt")
    import_weights(str(tmp_path / "source"), tmp_path / "run")
    model = load_model(tmp_path / "run" / "vqgan.safetensors", lambda **fields: VQGAN(VQGANConfig(**fields)))
    tokens = torch.randint(16384, (1, 256), generator=torch.Generator().manual_seed(1))
    weights = {f"weights.{name}": tensor for name, tensor in torch.load(tmp_path / "source" / "detoker.pt").items()}
    answer = min_dalle_peer.ask("vqgan-decoder", weights | {"tokens": tokens}, tmp_path)
    with torch.no_grad():
        raw = 2 * model.pictures(model.quantize.codes()[tokens]) - 1
    assert raw.std() > 0.3
    torch.testing.assert_close(raw, answer["raw"], rtol=1e-4, atol=1e-4)


def classic(scaled: bool) -> transformers.BartForConditionalGeneration:
    torch.manual_seed(0)
    model = transformers.BartForConditionalGeneration(
        transformers.BartConfig(
            vocab_size=300, max_position_embeddings=64, d_model=48, encoder_layers=2, decoder_layers=3,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
            scale_embedding=scaled,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(
                0.15 * torch.randn(weight.shape) if weight.dim() == 2 else weight + 0.3 * torch.randn(weight.shape)
            )
    return model


@pytest.fixture(scope="module", params=["one file", "scaled, in parts", "without a head"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bart, torch.nn.Module, Path]:
    """A BART that transformers saved, and what we import of it."""
    folder = tmp_path_factory.mktemp("classic")
    theirs = classic("scaled" in request.param)
    trees.write_vocabulary(folder / "source")
    saved = theirs.model if "without" in request.param else theirs
    saved.save_pretrained(folder / "source", max_shard_size="60KB" if "parts" in request.param else "5GB")
    import_weights(str(folder / "source"), folder / "run")
    ours = load_model(folder / "run" / "bart.safetensors", lambda **fields: Bart(BartConfig(**fields)))
    return ours, theirs, folder


def test_imported_bart_equals_transformers(pair: tuple[Bart, transformers.PreTrainedModel, Path]) -> None:
    ours, theirs, _ = pair
    generator = torch.Generator().manual_seed(1)
    text, mask = torch.randint(0, 300, (3, 9), generator=generator), torch.arange(9) < torch.tensor([9, 3, 5])[:, None]
    inputs = shift_right(torch.randint(0, 300, (3, 12), generator=generator), ours.config.start_token)
    with torch.no_grad():
        memory = theirs.model.encoder(input_ids=text, attention_mask=mask.long()).last_hidden_state
        logits = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=inputs).logits
        torch.testing.assert_close(ours.encode(text, mask)[mask], memory[mask], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours(text, mask, inputs), logits, atol=1e-5, rtol=1e-5)
        cache = ours.start(text, mask)
        steps = torch.stack([ours.step(tokens, cache) for tokens in inputs.T], 1)
    assert logits.std() > 0.5
    torch.testing.assert_close(steps, logits, atol=1e-5, rtol=1e-5)


def test_imported_tokenizer_equals_tokenizers(pair: tuple[Bart, torch.nn.Module, Path]) -> None:
    _, _, folder = pair
    peer = tokenizers.ByteLevelBPETokenizer(
        str(folder / "source" / "vocab.json"), str(folder / "source" / "merges.txt")
    )
    ours = load_tokenizer(folder / "run")
    for caption in CHOSEN:
        assert ours.encode(caption)[1:-1] == peer.encode(caption).ids
        published = load_tokenizer(folder / "run", "published").encode(caption)[1:-1]
        assert published == (peer.encode(normalize_caption(caption)).ids if caption else [])


def load_tokenizer(run: Path, normalizer: Normalizer = "none") -> Tokenizer:
    tokenizer = Tokenizer.load(run / "tokenizer")
    return Tokenizer(tokenizer.vocab, tokenizer.merges, replace(tokenizer.config, normalizer=normalizer))
