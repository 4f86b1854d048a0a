"""How costs grow: time and memory of real training steps, of encoding and of drawing, as one size at a time grows."""

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minidalle.bart import Bart, BartConfig
from minidalle.data import CaptionedPictures
from minidalle.data.tokens import TokenizedPictures, tokenize
from minidalle.pipeline import SHIPPED, TextToImage
from minidalle.presets import SMALL_VQGAN
from minidalle.reports.machine import middle, seconds
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer
from minidalle.training.bart import BartStage
from minidalle.training.config import BartTraining
from minidalle.training.distributed import Ranks, cores, launch
from minidalle.vqgan import VQGAN


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything that may grow, where it does not grow: a small model on a small batch."""

    batch: int = 16
    tokens: int = 64
    width: int = 128
    rows: int = 256

    @property
    def bart(self) -> BartConfig:
        """The model's shape: heads of 32 features, an encoder layer and two decoder layers."""
        return BartConfig(
            text_vocab=4096, text_length=32, image_codes=512, image_length=self.tokens, width=self.width,
            heads=self.width // 32, hidden=4 * self.width, encoder_layers=1, decoder_layers=2,
        )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Of one size: seconds of each run, and bytes that are kept (0: not looked at)."""

    size: int
    runs: tuple[float, ...]
    kept: int = 0


@dataclass(frozen=True)
class Sweep:
    """What grows, its sizes, what it costs at each, and what is the matter if that is not in proportion.

    ideal: the exponent of time that means proportion: 1, or −1 where more hands do the same work.
    below, above: why the exponent of time is lower or higher than that, where it is.
    """

    grows: str
    of: str
    sizes: tuple[int, ...]
    measure: Callable[[int, torch.device, int], Cost]
    ideal: int
    below: str
    above: str


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> tuple[float, float | None]:
    """The slope of log cost over log size by least squares, and its standard error; None from two points.

    Sizes 1, 2, 4 and costs 3, 12, 48 → 2 ± 0: the cost grows with the square.
    """
    x, y = np.log(sizes), np.log(costs)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    if len(x) < 3:
        return slope, None
    rest = y - y.mean() - slope * x
    return slope, float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))


def made_up_pictures(setting: Setting) -> CaptionedPictures:
    """Pictures of noise, all of them to train on, with captions of a dozen tokens."""
    rows, side = setting.rows, 4 * isqrt(setting.tokens)
    pictures = np.random.default_rng(0).integers(0, 256, (rows, side, side, 3), dtype=np.uint8)
    captions = [f"thing {row % 97} with {row % 7} corners, noto style" for row in range(rows)]
    return CaptionedPictures(captions, pictures, np.array(["train"] * rows))


def make_stage(setting: Setting, device: torch.device, ranks: Ranks) -> BartStage:
    """A BART's training on made-up pictures and tokens, with real tokenizer, VQGAN and schedule."""
    torch.manual_seed(0)
    data, rows = made_up_pictures(setting), setting.rows
    tokenizer, bart = Tokenizer.load(SHIPPED / "tokenizer"), Bart(setting.bart).to(device)
    vqgan = VQGAN(replace(SMALL_VQGAN, image_size=data.size)).to(device)
    image = torch.randint(setting.bart.image_codes, (rows, setting.tokens))
    tokens = TokenizedPictures(*tokenizer.encode_batch(data.captions), image, torch.zeros(rows, setting.tokens, 3))
    config = BartTraining(steps=1000, batch_size=setting.batch, learning_rate=1e-4)
    return BartStage(config, bart, data, tokens, TextToImage(tokenizer, vqgan, bart), 0, ranks)


def step_cost(size: int, setting: Setting, device: torch.device, runs: int) -> Cost:
    """What a training step takes, and what it keeps between the way forward and the way back."""
    stage = make_stage(setting, device, Ranks())
    with kept_tensors(stage.bart) as kept:
        stage.step(0)
    count = itertools.count(1)
    return Cost(size, tuple(seconds(lambda: stage.step(next(count)), device, runs)), sum(kept.values()))


@contextmanager
def kept_tensors(model: torch.nn.Module) -> Iterator[dict[int, int]]:
    """Bytes of what autograd keeps in the block, by place in memory; the model's own weights do not count."""
    own, kept = {weight.data_ptr() for weight in model.parameters()}, dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def of_batch(size: int, device: torch.device, runs: int) -> Cost:
    """A step of so many pictures."""
    return step_cost(size, Setting(batch=size), device, runs)


def of_tokens(size: int, device: torch.device, runs: int) -> Cost:
    """A step of pictures of so many tokens."""
    return step_cost(size, Setting(batch=8, tokens=size), device, runs)


def of_width(size: int, device: torch.device, runs: int) -> Cost:
    """A step of a model of that width."""
    return step_cost(size, Setting(width=size), device, runs)


def of_data(size: int, device: torch.device, runs: int) -> Cost:
    """Encoding so many captioned pictures, as is done once before the training; what is kept are their tokens."""
    setting = Setting(rows=size)
    rows, codec = made_up_pictures(setting), make_stage(setting, device, Ranks()).codec
    made: list[TokenizedPictures] = []

    def encode() -> None:
        made[:] = [tokenize(rows.captions, rows.pictures, codec.tokenizer.encode_batch, codec.vqgan.encode, device)]

    taken = tuple(seconds(encode, device, runs))
    return Cost(size, taken, sum(tensor.nbytes for tensor in vars(made[0]).values()))


def of_drawing(size: int, device: torch.device, runs: int) -> Cost:
    """Drawing so many pictures at once, with guidance; what is kept are the cache's keys and values."""
    setting = Setting()
    codec = make_stage(setting, device, Ranks()).codec
    text, mask = codec.encode_text(["red apple, noto style"] * size)
    sampling = SamplingConfig(guidance=2.0)
    taken = tuple(seconds(lambda: codec.predict(text, mask, range(size), sampling), device, runs))
    places = setting.bart.decoder_layers * (setting.tokens + text.shape[1])
    return Cost(size, taken, 2 * size * 2 * places * setting.width * 4)


def of_ranks(size: int, device: torch.device, runs: int) -> Cost:
    """A step of one batch that is shared by so many processes of one thread."""
    threads = torch.get_num_threads()
    try:
        with tempfile.TemporaryDirectory(prefix="minidalle-") as folder:
            launch(_rank_steps, size, Path(folder, "seconds.json"), runs)
            return Cost(size, tuple(json.loads(Path(folder, "seconds.json").read_text())))
    finally:
        torch.set_num_threads(threads)


def _rank_steps(ranks: Ranks, file: Path, runs: int) -> None:
    torch.set_num_threads(1)
    stage, count = make_stage(Setting(batch=64), torch.device("cpu"), ranks), itertools.count()
    taken = seconds(lambda: stage.step(next(count)), torch.device("cpu"), runs)
    if ranks.first:
        file.write_text(json.dumps(taken))


def sweeps(device: torch.device) -> list[Sweep]:
    """All that is measured on a device."""
    found = [
        Sweep("pictures per batch", "a step", (4, 8, 16, 32, 64, 128), of_batch, 1,
              "each step has costs of its own, which weigh in small batches", "large batches leave the cache"),
        Sweep("tokens per picture", "a step", (16, 64, 144, 256, 576, 1024), of_tokens, 1,
              "short sequences are mostly a step's own costs",
              "every token attends to every other: that part grows with the square"),
        Sweep("width of the model", "a step", (64, 128, 256, 512), of_width, 1,
              "narrow layers are mostly a step's own costs",
              "matrices grow with the square of the width, everything between them in proportion"),
        Sweep("pictures to encode", "all", (256, 512, 1024, 2048), of_data, 1,
              "there are costs before the first picture", "more pictures than the caches hold"),
        Sweep("pictures drawn at once", "64 tokens each", (1, 2, 4, 8, 16, 32), of_drawing, 1,
              "one token at a time leaves the processor waiting: more pictures fill it", "the cache of keys is large"),
    ]  # fmt: skip
    ranks = tuple(2**power for power in range(cores().bit_length()) if 2**power <= min(cores(), 8))
    if device.type == "cpu" and len(ranks) > 1:
        found.append(Sweep("ranks of one thread", "a step of 64", ranks, of_ranks, -1,
                           "each rank's smaller share fits its own cache",
                           "ranks exchange gradients, wait for the slowest, and share the memory"))  # fmt: skip
    return found


def bench_scaling(device: torch.device, runs: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure all sweeps; for each its points, the fitted exponents of time and memory, and what they mean in words."""
    found = []
    for sweep in sweeps(device):
        say(f"{sweep.grows}: {', '.join(map(str, sweep.sizes))}")
        costs = [sweep.measure(size, device, runs) for size in sweep.sizes]
        taken, kept = [middle(list(cost.runs)) for cost in costs], [cost.kept for cost in costs]
        time, (end, _) = exponent(sweep.sizes, taken), exponent(sweep.sizes[-2:], taken[-2:])
        found.append({
            "grows": sweep.grows, "of": sweep.of, "sizes": sweep.sizes, "seconds": taken, "bytes": kept,
            "runs": [cost.runs for cost in costs], "ideal": sweep.ideal, "time_exponent": time, "end_exponent": end,
            "memory_exponent": exponent(sweep.sizes, kept) if all(kept) else None,
            "words": in_words(sweep, time, end),
        })  # fmt: skip
    return found


def in_words(sweep: Sweep, whole: tuple[float, float | None], end: float) -> str:
    """Whether the time is in proportion, over all sizes and at the large end, and why not."""
    slope, error = whole
    doubt = max(0.1, min(0.25, 2 * (error or 0.0)))
    why = [sweep.below] if min(slope, end) < sweep.ideal - doubt else []
    why += [sweep.above] if max(slope, end) > sweep.ideal + doubt else []
    return "; ".join(why) or ("in proportion" if sweep.ideal > 0 else "in inverse proportion")
