"""What the gap depends on, over five seeds: the figures of lesson 05.

    python benchmarks/generalization.py                     # all arms
    python benchmarks/generalization.py --only pictures     # those of one question

Small BARTs on the image tokens of the shipped VQGAN and the text tokens of a tokenizer with 1,024 entries; AdamW, a
constant learning rate after the warm-up, float32, one thread. Every loss is of fixed rows in eval mode, whose lot knows
nothing of the seed; no checkpoint is chosen. The file is written after every arm, and finished arms are not done again.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import minidalle
from minidalle.bart import Bart, BartConfig, sequence_loss, shift_right
from minidalle.checkpoint import save_json
from minidalle.data import CaptionedPictures, emoji_pictures
from minidalle.data.tokens import TokenizedPictures
from minidalle.evaluation import some_rows
from minidalle.generalization.gap import Examples, examples, gap_between, surprise, token_nats
from minidalle.generalization.memorization import shuffle_captions
from minidalle.runtime import numpy_generator, stream_seed
from minidalle.tokenization import Tokenizer, TokenizerConfig

OUT = Path(__file__).parents[1] / "solutions" / "05-generalization" / "experiments.json"
SEEDS = (0, 1, 2, 3, 4)
MEASURED = 200  # rows of each side
SPLITS = ("iid", "cell", "tone", "combo", "concept")

BART = BartConfig(
    text_vocab=1024, text_length=32, image_codes=512, image_length=64, width=64, heads=2, hidden=256,
    encoder_layers=1, decoder_layers=2,
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What is trained, and for how long; shuffled: on other pictures' captions; baseline: and such a one beside it."""

    pictures: int
    steps: int = 400
    width: int = 64
    shuffled: bool = False
    baseline: bool = False
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup: int = 50
    splits: tuple[str, ...] = ("iid",)
    every: int = 50


MOST = 8871  # of the 11,731 pictures of `train`
ARMS = {
    **{f"pictures {n}": Arm(n) for n in (250, 1000, 4000)},
    f"pictures {MOST}": Arm(MOST, splits=SPLITS, baseline=True),
    **{f"width {width}": Arm(1000, width=width) for width in (32, 128)},
    "shuffled 250": Arm(250, shuffled=True),
    "shuffled 1000": Arm(1000, shuffled=True),
}


@dataclass(frozen=True, eq=False)
class Data:
    """The bundled pictures, and a codec for them."""

    pictures: CaptionedPictures
    codec: minidalle.TextToImage

    @classmethod
    def shipped(cls) -> "Data":
        """With a small tokenizer and the shipped VQGAN."""
        shipped, pictures = minidalle.load(), emoji_pictures(32)
        captions = [pictures.captions[row] for row in pictures.rows("train")]
        tokenizer = Tokenizer.train(captions, TokenizerConfig(vocab_size=BART.text_vocab, text_length=BART.text_length))
        return cls(pictures, minidalle.TextToImage(tokenizer, shipped.vqgan, shipped.bart))


def training_rows(data: Data, count: int, seed: int) -> np.ndarray:
    """So many rows of `train`, by lot: the first ones of a longer list that is the seed's, so that sets are nested."""
    rows = data.pictures.rows("train")
    return numpy_generator(seed, "training rows").permutation(rows)[:count]


def some_examples(data: Data, split: str) -> Examples:
    """The rows of a split that every loss here is of."""
    return examples(data.codec, data.pictures, some_rows(data.pictures, split, MEASURED))


def batch(tokens: TokenizedPictures, size: int, seed: int, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Text, its mask, the decoder's input and the image tokens of one step, rows drawn with replacement."""
    rows = torch.from_numpy(numpy_generator(seed, "batch", step).integers(len(tokens.image), size=size))
    text, mask, image = tokens.text[rows], tokens.text_mask[rows], tokens.image[rows]
    longest = int(mask.sum(1).max())
    return text[:, :longest], mask[:, :longest], shift_right(image, BART.start_token), image


def train(bart: Bart, seen: TokenizedPictures, arm: Arm, seed: int, watch: Any = None) -> None:
    """The plainest training that works; `watch(step)` is called every `arm.every` steps, and stops it if it says so."""
    optimizer = torch.optim.AdamW(bart.parameters(), lr=arm.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(1, arm.steps + 1):
        *given, image = batch(seen, arm.batch_size, seed, step)
        optimizer.param_groups[0]["lr"] = arm.learning_rate * min(1.0, step / arm.warmup)
        optimizer.zero_grad()
        sequence_loss(bart.train()(*given), image).backward()
        torch.nn.utils.clip_grad_norm_(bart.parameters(), 1.0)
        optimizer.step()
        if watch and step % arm.every == 0 and watch(step):
            break


def losses(bart: Bart, sides: dict[str, Examples]) -> dict[str, float]:
    """The mean loss of each side, in nats per token."""
    return {name: round(token_nats(bart, side.tokens).mean().item(), 4) for name, side in sides.items()}


def run(arm: Arm, seed: int, data: Data) -> dict[str, Any]:
    """Train one BART: losses of both sides along the way, and the gaps at the end."""
    rows = training_rows(data, arm.pictures, seed)
    true = examples(data.codec, data.pictures, rows)
    seen = with_shuffled_captions(true, rows, seed, data) if arm.shuffled else true
    some = numpy_generator(0, "measured", arm.pictures).permutation(len(rows))[:MEASURED]
    sides = {"train": _part(seen, some)}
    sides |= {split: some_examples(data, split) for split in arm.splits}
    began, curve, bart = time.process_time(), [], fresh(arm, seed)
    train(bart, seen.tokens, arm, seed, lambda step: curve.append({"step": step} | losses(bart, sides)))
    found = {"curve": curve, "gaps": gaps(bart, sides, None)}
    if arm.baseline:
        baseline = fresh(arm, seed)
        train(baseline, with_shuffled_captions(true, rows, seed, data).tokens, arm, seed)
        found |= {"baseline": losses(baseline, sides), "baseline_gaps": gaps(bart, sides, baseline)}
    return {**found, "parameters": sum(p.numel() for p in bart.parameters()),
            "cpu_s": round(time.process_time() - began, 1)}  # fmt: skip


def fresh(arm: Arm, seed: int) -> Bart:
    """A BART with its first weights."""
    torch.manual_seed(stream_seed(seed, "weights"))
    return Bart(replace(BART, width=arm.width, hidden=4 * arm.width))


def with_shuffled_captions(true: Examples, rows: np.ndarray, seed: int, data: Data) -> Examples:
    """The same pictures, each with another one's caption, once and for all."""
    captions = [data.pictures.captions[row] for row in rows]
    order = torch.as_tensor(shuffle_captions(captions, ["train"] * len(rows), seed))
    tokens = replace(true.tokens, text=true.tokens.text[order], text_mask=true.tokens.text_mask[order])
    return replace(true, tokens=tokens)


def gaps(bart: Bart, sides: dict[str, Examples], baseline: Bart | None) -> dict[str, Any]:
    """The gap of each split to the training rows."""
    found = {name: surprise(bart, side, baseline) for name, side in sides.items()}
    return {name: asdict(gap_between(found["train"], found[name])) for name in found if name != "train"}


def _part(side: Examples, rows: Sequence[int] | np.ndarray) -> Examples:
    index = torch.as_tensor(rows)
    cut = [
        TokenizedPictures(tokens.text[index], tokens.text_mask[index], tokens.image[index], tokens.colors[index])
        for tokens in (side.tokens, side.blind)
    ]
    return Examples(*cut, side.roles[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="arms whose names begin so")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {"arms": {}}
    known["torch"], data = torch.__version__, Data.shipped()
    for name, arm in ARMS.items():
        if not name.startswith(options.only):
            continue
        record = known["arms"].setdefault(name, {"arm": asdict(arm), "seeds": {}})
        for seed in SEEDS:
            if str(seed) not in record["seeds"]:
                record["seeds"][str(seed)] = run(arm, seed, data)
                save_json(options.out, known)
                print(
                    name, seed, record["seeds"][str(seed)]["curve"][-1], record["seeds"][str(seed)]["cpu_s"], flush=True
                )


if __name__ == "__main__":
    main()
