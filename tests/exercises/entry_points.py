"""Each entry point that an exercise names, as a small real call."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minidalle.bart import Bart
from minidalle.clip import Clip, Judge, draw_best
from minidalle.data import CaptionedPictures
from minidalle.data.build_emoji import mark_duplicates
from minidalle.data.splits import Row, make_splits
from minidalle.data.tokens import tokenize
from minidalle.evaluation.baselines import nearest_caption_rows
from minidalle.evaluation.free_text import Prompt, concept_recall
from minidalle.generalization import measuring
from minidalle.generalization.connectivity import bezier_barrier
from minidalle.generalization.gap import examples, generalization_gap
from minidalle.generalization.landscape import random_plane
from minidalle.generalization.mean_loss import MeanLoss, bart_loss
from minidalle.generalization.memorization import with_shuffled_captions
from minidalle.generalization.rescaling import curvature_by_scale
from minidalle.generalization.sharpness import sam_sharpness
from minidalle.pipeline import TextToImage
from minidalle.presets import TINY
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training.bart import BartStage
from minidalle.training.clip import ClipStage
from minidalle.training.distributed import Ranks
from minidalle.training.vqgan import VQGANStage
from minidalle.vqgan import VQGAN
from minidalle.vqgan.losses import LossWeights, reconstruction_loss

CONFIG = TokenizerConfig(vocab_size=263, text_length=4)
TOKENIZER = Tokenizer.train(["aba aba", "aba"], CONFIG)

NAMES = ["red apple", "red car", "old red car", "pear", "old pear", "green pear"]
NAMED = CaptionedPictures(
    captions=NAMES,
    pictures=np.array([10, 30, 60, 100, 150, 210], np.uint8).repeat(3).reshape(6, 1, 1, 3),
    splits=np.array(["train"] * 6),
    columns={"role": np.array(NAMES)},
)
PROMPTS = (Prompt("apple", "name", ("red apple",)), Prompt("old pear", "name", ("old pear", "pear")))
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><rect width="{}" height="2"/></svg>'
ROWS = [{"key": key, "caption": key, "svg": SVG.format(width)} for key, width in zip("cba", (1, 3, 1), strict=True)]

HALVES = CaptionedPictures(["pear", "car", "apple", "pear", "car"], NAMED.pictures[:5], np.array(["train"] * 5))
HALVES.splits[2] = "dev"
STYLED = [Row(f"{role} {style}", style, role, "", "", "") for role in NAMES for style in ("noto", "twemoji")]

PICTURES = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
NAMED_PICTURES = CaptionedPictures(["aba", "b", "ab", "aba", "b"], PICTURES[:5], np.array(["train"] * 3 + ["iid"] * 2))
PIXELS = torch.tensor(PICTURES).permute(0, 3, 1, 2) / 255


def vqgan() -> VQGAN:
    """A small one with normalization, and codes that are as far apart as latents are."""
    torch.manual_seed(0)
    model = VQGAN(replace(TINY.vqgan, groups=4, restart_below=0.6))
    with torch.no_grad():
        model.quantize.codebook.mul_(64)
    return model


def vqgan_step() -> dict[str, float]:
    """One step of a training whose first step is a whole epoch, with all codes and a discriminator that is heard."""
    config = replace(TINY.training.vqgan, batch_size=8, warmup=0, unquantized=0, precision="fp32",
                     discriminator_start=0, discriminator_warmup=0)  # fmt: skip
    data = CaptionedPictures(["a"] * 9, PICTURES, np.array(["train"] * 8 + ["dev"]))
    return VQGANStage(config, vqgan(), data, 0, Ranks()).step(0)


def bart() -> Bart:
    """A small one of DALL·E mini's kind, for the pictures' tokens."""
    torch.manual_seed(0)
    fields = {"text_vocab": CONFIG.vocab_size, "text_length": CONFIG.text_length, "draft_width": 0}
    return Bart(replace(TINY.bart, norm="normformer", glu=True, **fields)).eval()


def bart_step() -> dict[str, float]:
    """One step of a training on captions of different lengths."""
    config = replace(TINY.training.bart, batch_size=8, warmup=2, draft_steps=0, caption_dropout=0, precision="fp32")
    data = CaptionedPictures(["a", "aba"] * 4 + ["a"], PICTURES, np.array(["train"] * 8 + ["dev"]))
    codec = TextToImage(TOKENIZER, vqgan(), bart())
    tokens = tokenize(data.captions, PICTURES, TOKENIZER.encode_batch, codec.vqgan.encode, torch.device("cpu"))
    return BartStage(config, codec.bart, data, tokens, codec, 0, Ranks()).step(0)


CAPTIONS, SEEDS, SAMPLING = ["aba", "b"], [0, 1], SamplingConfig(temperature=0.9, top_k=20, top_p=0.95, guidance=2.5)


def drawing() -> TextToImage:
    """Small parts with random weights, whose codes can be told apart in a picture."""
    torch.manual_seed(0)
    pipeline = TextToImage(TOKENIZER, VQGAN(TINY.vqgan), Bart(TINY.bart))
    with torch.no_grad():
        pipeline.vqgan.quantize.codebook.mul_(100)
    return pipeline


def judge() -> Judge:
    torch.manual_seed(0)
    assert TINY.reranker
    return Judge(TOKENIZER, Clip(TINY.reranker.clip))


def clip_step() -> dict[str, float]:
    assert TINY.reranker
    config = replace(TINY.reranker.training, batch_size=8, warmup=0, precision="fp32")
    data = CaptionedPictures(["aba", "b", "ab"] * 3, PICTURES, np.array(["train"] * 9))
    return ClipStage(config, judge(), data, 0, Ranks()).step(0)


def gap() -> dict[str, Any]:
    """The gap of an untrained model, between three pictures and three others, of four roles."""
    columns = {"role": np.array(["a", "b", "c", "a", "b", "d"])}
    data = CaptionedPictures(["aba", "b", "ab"] * 2, PICTURES[:6], np.array(["train"] * 3 + ["iid"] * 3), columns)
    pipeline = TextToImage(TOKENIZER, vqgan(), bart())
    sides = (examples(pipeline, data, rows) for rows in ([0, 1, 2], [3, 4, 5]))
    return asdict(generalization_gap(pipeline.bart, *sides))


def loss() -> MeanLoss:
    """Of two batches, of 3 and 1 tokens: a quadratic whose Hessian is diagonal, and all random signs say the same."""
    weights = torch.tensor([1.0, -1.0, 0.5, 1.5, -1.0, 0.5], requires_grad=True)
    curved = torch.tensor([0.5, 0.25, 0.25, -0.125, 0.0, 0.25])
    sums = [lambda: (curved * weights**2).sum() * 3, lambda: (curved * weights**2).sum() + weights.sum()]
    return MeanLoss([*zip(sums, (3, 1), strict=True)], [weights])


def curvature() -> list[Any]:
    """What `measure` says of that loss: its figures, and how much of the spectrum is below 0."""
    figures, (grid, density) = measuring._curvature(loss(), measuring.Settings(), lambda what, done, of: None)
    return [[one.name, one.value] for one in figures] + [torch.trapezoid(density * (grid < 0), grid).item()]


def scaled() -> list[tuple[float, float]]:
    """How curved an untrained model looks with its queries as they are, and three times as large."""
    tokens = examples(TextToImage(TOKENIZER, vqgan(), bart()), NAMED_PICTURES, [0, 1]).tokens
    return curvature_by_scale(bart(), (1.0, 3.0), lambda model: bart_loss(model, tokens, np.arange(2)), 0.1)


def copies() -> list[Any]:
    """The drawings nearest to training, and how far they are; the drawings are a split's own pictures."""
    drawn = {"train": PICTURES[:2], "iid": PICTURES[5:7]}
    rows = {"train": np.array([0, 1]), "iid": np.array([3, 4])}
    distances, found = measuring.nearest_copies(NAMED_PICTURES, rows, drawn, "iid")
    return [found.training_captions, distances["iid"].tolist()]


def bent() -> float:
    """The barrier on a way over a hill at 0, past the side of it."""
    weights = [torch.zeros(2)]
    ways = [[torch.tensor(place)] for place in ([-1.0, 0.5], [0.0, 1.0], [2.0, 0.0])]
    return bezier_barrier(lambda: (-weights[0].square().sum()).exp() + weights[0][0], weights, *ways, points=7)


ENTRIES: dict[str, Callable[[], Any]] = {
    "nearest_caption_rows": lambda: nearest_caption_rows(["green car", "old apple", "old red pear"], NAMED),
    "mark_duplicates": lambda: mark_duplicates(ROWS),
    "concept_recall": lambda: concept_recall(NAMED.pictures[[0, 3]], PROMPTS, NAMED),
    "Tokenizer.train": lambda: Tokenizer.train(["aba aba", "aba"], CONFIG),
    "Tokenizer.encode_batch": lambda: TOKENIZER.encode_batch(["aba aba"]),
    "Tokenizer.decode": lambda: TOKENIZER.decode([0, 5, 6, 2]),
    "VQGAN.encode": lambda: vqgan().encode(PIXELS),
    "VQGANStage.step": vqgan_step,
    "Bart.forward": lambda: bart()(*TOKENIZER.encode_batch(["aba", "a"]), torch.arange(32).view(2, 16)).detach(),
    "BartStage.step": bart_step,
    "reconstruction_loss": lambda: reconstruction_loss(PIXELS, PIXELS.flip(0), LossWeights()),
    "TextToImage.draw": lambda: drawing().draw(CAPTIONS, SEEDS, SAMPLING),
    "draw_best": lambda: draw_best(drawing(), judge(), CAPTIONS, SEEDS, SAMPLING, candidates=3),
    "ClipStage.step": clip_step,
    "generalization_gap": gap,
    "with_shuffled_captions": lambda: with_shuffled_captions(HALVES).captions,
    "make_splits": lambda: make_splits(STYLED, "concept", seed=3, share=0.5),
    "MeanLoss.product": lambda: loss().product(torch.arange(6).double()),
    "measure": curvature,
    "curvature_by_scale": scaled,
    "nearest_copies": copies,
    "bezier_barrier": bent,
    "random_plane": lambda: [step.tolist() for steps in random_plane([*bart().parameters()]) for step in steps],
    "sam_sharpness": lambda: [sam_sharpness(loss(), 0.5, adaptive=adaptive).value for adaptive in (False, True)],
}


def shown(value: Any) -> Any:
    """What can be compared of an entry's result."""
    if isinstance(value, Tokenizer):
        return value.vocab, value.merges
    if isinstance(value, dict):
        return {key: item.tolist() if isinstance(item, np.ndarray) else item for key, item in value.items()}
    if isinstance(value, Tensor | np.ndarray):
        return value.tolist()
    return [item.tolist() for item in value] if isinstance(value, tuple) else value
