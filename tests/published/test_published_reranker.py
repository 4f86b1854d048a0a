"""A CLIP of transformers as the judge: its own scores, and the best of several drawings."""

import sys
from pathlib import Path

import published_trees as trees
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.cli.drawing import clip_of, draw_captions
from minidalle.clip import draw_best
from minidalle.errors import InvalidValue
from minidalle.pipeline import load
from minidalle.published import ClipJudge, import_weights, load_clip
from minidalle.published.reranker import prepared
from minidalle.runtime import stream_seed
from minidalle.sampling_config import SamplingConfig


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP, as transformers saves one, with CLIP's kind of vocabulary."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    layers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocab = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    text = {**layers, "vocab_size": len(vocab), "max_position_embeddings": 16, "eos_token_id": len(vocab) - 1,
            "bos_token_id": len(vocab) - 2}  # fmt: skip
    model = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config={**layers, "image_size": 48, "patch_size": 16},
                                projection_dim=16)
    )  # fmt: skip
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    words = ", ".join(f'"{token}": {number}' for number, token in enumerate(vocab))
    (folder / "vocab.json").write_text(f"{{{words}}}")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


@pytest.fixture(scope="module")
def run(
    clip_folder: Path, leaves: dict[str, Tensor], painter: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("reranked")
    trees.write_flax_dalle(folder / "source", trees.stack_layers(leaves))
    trees.write_flax_vqgan(folder / "source" / "vqgan", painter)
    said = import_weights(str(folder / "source"), folder / "run", clip=str(clip_folder))
    assert said[-1].startswith("clip: ")
    return folder / "run"


def test_scores_are_those_of_transformers(clip_folder: Path) -> None:
    judge = load_clip(clip_folder)
    captions, pictures = ["red", "blue cat", "a"], torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    words = transformers.CLIPTokenizer.from_pretrained(clip_folder)(captions, return_tensors="pt", padding=True)
    with torch.no_grad():
        out = judge.model(**words, pixel_values=prepared(pictures, 48))
        expected = out.logits_per_image.diagonal() / judge.model.logit_scale.exp()
    torch.testing.assert_close(judge.similarity(captions, pictures), expected)
    assert expected.std() > 1e-3
    assert judge.similarity(["red " * 40], pictures[:1]).isfinite().all()


def test_pictures_are_prepared_as_transformers_does() -> None:
    side = 32
    generator = torch.Generator().manual_seed(0)
    pictures = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=generator), (64, 64), mode="bilinear")
    pixels = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    processor = transformers.CLIPImageProcessorPil if hasattr(transformers, "CLIPImageProcessorPil") else None
    processor = processor or transformers.CLIPImageProcessor
    theirs = processor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})(
        [Image.fromarray(picture) for picture in pixels], return_tensors="pt"
    )["pixel_values"]
    difference = (prepared(pictures, side) - torch.as_tensor(theirs)).abs()
    assert difference.max() < 0.03  # they round to 255 levels twice


def test_the_best_of_several_is_kept(run: Path) -> None:
    pipeline, judge = load(run), clip_of(run, torch.device("cpu"))
    assert isinstance(judge, ClipJudge)
    sampling = SamplingConfig(guidance=3.0)
    best = draw_best(pipeline, judge, ["a red apple"], [5], sampling, 3)
    drawn = [
        pipeline.draw(["a red apple"], [seed], sampling)
        for seed in (5, *(stream_seed(5, "candidate", n) for n in (1, 2)))
    ]
    scores = torch.cat([judge.similarity(["a red apple"], picture) for picture in drawn])
    assert torch.equal(best, drawn[int(scores.argmax())])
    assert len({float(score) for score in scores}) == 3


def test_generate_reranks_with_it_and_says_when_it_is_not_there(run: Path, tmp_path: Path) -> None:
    draw_captions(["a red apple"], 1, {}, 0, 2, run, tmp_path / "a.png", "cpu")
    assert (tmp_path / "a.png").stat().st_size > 500
    without = tmp_path / "without"
    without.mkdir()
    for path in run.iterdir():
        if path.name != "clip":
            (without / path.name).symlink_to(path)
    with pytest.raises(InvalidValue, match="has no CLIP: import it again with --clip"):
        draw_captions(["a red apple"], 1, {}, 0, 2, without, tmp_path / "b.png", "cpu")


def test_a_clip_that_is_not_whole(clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.safetensors").write_bytes(b"")
    with pytest.raises(InvalidValue, match=r"CLIP is not whole, missing: config\.json, vocab\.json, merges\.txt"):
        import_weights(str(tmp_path), tmp_path / "out", clip=str(tmp_path / "half"))
    with pytest.raises(CheckpointError, match="cannot read the CLIP in"):
        load_clip(tmp_path / "half")


def test_without_transformers_its_name_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InvalidValue, match="pip install transformers"):
        load_clip(run / "clip")


def test_a_device_is_picked_by_its_name(clip_folder: Path) -> None:
    with pytest.raises(InvalidValue, match="device='tpu': expected auto or one of cpu"):
        load_clip(clip_folder, "tpu")
