"""How fast tokens are drawn: readable, fast and other people's decoders, at one shape, in one run."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart import Bart, BartConfig
from minidalle.bart.fast import Choose, FastDecoder
from minidalle.bart.fast_linear import DTYPES
from minidalle.presets import DALLE_MEGA, DALLE_MINI, SHIPPED, Preset
from minidalle.reports.decoding_peers import PEERS
from minidalle.reports.machine import ceilings, describe, middle, seconds
from minidalle.reports.peers import ask
from minidalle.sampling import decode_step, guide

SHAPES = {"mini": DALLE_MINI, "mega": DALLE_MEGA, "shipped": SHIPPED}
CHECKED = 8  # tokens whose logits are compared
TOLERANCE = {"fp32": 1e-5, "fp16": 0.01, "bf16": 0.03, "int8": 0.05}
"""How far logits may be from the readable decoder's in fp32: root mean square over their standard deviation."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One line of the table: `milliseconds` per token (the median of `runs`), and how far its logits are off.

    `whole` is seconds for the encoder and all N tokens, `gigabytes` the most memory: both on a GPU only, for ours.
    """

    name: str
    precision: str
    milliseconds: float
    runs: tuple[float, ...]
    off: float | None = None
    whole: float | None = None
    gigabytes: float | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is drawn: `tokens` of each of some pictures, guided, so many runs; on a GPU by compiled code too."""

    shape: str
    device: torch.device
    pictures: int
    tokens: int
    runs: int
    compiled: bool = True

    @property
    def preset(self) -> Preset:
        """The shape's sizes and settings."""
        return SHAPES[self.shape]

    @property
    def precisions(self) -> tuple[str, ...]:
        """The ones that are measured: a model too large for it is never in fp32."""
        if self.shape == "mega":
            return ("bf16",)
        return ("fp32", "bf16", "int8") if self.device.type == "cpu" else ("fp32", "bf16")


class Inputs(NamedTuple):
    """Captions `text` and `mask` [2 B, T], `noise` [B, N, K], and what the readable decoder says in fp32, `logits`
    [2 B, `CHECKED`, K], to the tokens `forced` [B, `CHECKED`]."""

    text: Tensor
    mask: Tensor
    noise: Tensor
    forced: Tensor
    logits: Tensor


def bench_decoding(task: Task, peers: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and return what a table and a JSON file need; `say` hears what is being done."""
    dtypes = tuple(dict.fromkeys(DTYPES[precision] for precision in task.precisions))
    limits = ceilings(task.device, dtypes)
    rows, left_out = [], []
    with torch.inference_mode():
        for speed in ours(task, say):
            rows.append(speed)
            say(f"  {speed.milliseconds:.2f} ms per token")
    read = {p: weights_read(task.preset.bart) * DTYPES[p].itemsize / (2 if p == "int8" else 1) for p in task.precisions}
    if peers and task.shape == "shipped":
        left_out.append("min-dalle and transformers, which have no such shape")
    elif peers:
        say("other people's")
        for peer, precision, taken in time_peers(task):
            if isinstance(taken, str):
                left_out.append(f"{peer}, {precision}: {taken}")
            else:
                rows.append(Speed(name=peer, precision=precision, milliseconds=1e3 * middle(taken), runs=tuple(taken)))
    return {
        "shape": task.shape, "pictures": task.pictures, "tokens": task.tokens, "machine": describe(task.device),
        "ceilings": limits, "gigabytes_read": {p: size / 1e9 for p, size in read.items()},
        "reading_ms": {p: size / 1e6 / limits["read"] for p, size in read.items()},
        "rows": [asdict(row) for row in rows], "left_out": left_out, "tolerance": TOLERANCE,
    }  # fmt: skip


def weights_read(config: BartConfig) -> int:
    """Numbers that a token needs of the decoder's matrices: the caption's keys and values are there already."""
    attention = 4 * config.width**2 + 2 * config.width**2
    forward = (3 if config.glu else 2) * config.width * config.hidden
    return config.decoder_layers * (attention + forward) + config.image_codes * config.width


def ours(task: Task, say: Callable[[str], None]) -> Iterator[Speed]:
    """The readable decoder, then the fast one in each precision; on a GPU compiled, too."""
    config, first = task.preset.bart, task.precisions[0]
    bart = random_bart(config, task.device, DTYPES[first])
    inputs = make_inputs(bart, task)
    say(f"readable, {first}")
    taken = time_readable(bart, inputs, task)
    yield Speed(name="readable", precision=first, milliseconds=1e3 * middle(taken), runs=tuple(taken))
    for precision in task.precisions:
        compiled = task.compiled and task.device.type == "cuda" and precision != "fp32"
        for name in ("fast", "fast, compiled") if compiled else ("fast",):
            say(f"{name}, {precision}")
            try:
                decoder = FastDecoder(bart, precision, compiled=name != "fast")
                yield time_fast(decoder, inputs, task, name, precision)
            except Exception as error:
                if name == "fast":
                    raise
                say(f"  left out: {type(error).__name__}: {str(error)[:300]}")  # there may be no compiler


def random_bart(config: BartConfig, device: torch.device, dtype: torch.dtype) -> Bart:
    """A model with new weights, made where and in what precision it is wanted."""
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            return Bart(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def make_inputs(bart: Bart, task: Task) -> Inputs:
    """Captions of random words, as long as may be, then as many empty ones of two tokens; noise; the reference."""
    config, device = bart.config, task.device
    text = torch.randint(3, config.text_vocab, (2 * task.pictures, config.text_length), device=device)
    mask = torch.ones_like(text, dtype=torch.bool)
    mask[task.pictures :, 2:] = False
    noise = -torch.empty(task.pictures, config.image_length, config.image_codes, device=device).exponential_().log()
    forced = torch.randint(config.image_codes, (task.pictures, CHECKED), device=device)
    return Inputs(text, mask, noise, forced, readable_logits(bart, text, mask, forced))


def chooser(preset: Preset) -> Choose:
    """The sampler of a preset, with guidance."""

    def choose(logits: Tensor, noise: Tensor) -> Tensor:
        conditional, unconditional = logits.chunk(2)
        return decode_step(guide(conditional, unconditional, preset.sampling.guidance), noise, preset.sampling)

    return choose


def time_readable(bart: Bart, inputs: Inputs, task: Task) -> list[float]:
    """Seconds per token of `Bart.step`, for each run."""
    choose, cache = chooser(task.preset), bart.start(inputs.text, inputs.mask)

    def draw() -> None:
        cache.position = 0
        newest = torch.full((task.pictures,), bart.config.start_token, device=task.device)
        for position in range(task.tokens):
            logits = bart.step(newest.repeat(2), cache)[:, : bart.config.image_codes]
            newest = choose(logits, inputs.noise[:, position])

    return [taken / task.tokens for taken in seconds(draw, task.device, task.runs)]


def readable_logits(bart: Bart, text: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
    """What the readable decoder says in fp32 to these tokens, [R, n, K]; the weights are made fp32 for it."""
    bart = copy.deepcopy(bart).float() if next(bart.parameters()).dtype != torch.float32 else bart
    cache, start = bart.start(text, mask), torch.full_like(tokens[:, :1], bart.config.start_token)
    inputs = torch.cat([start, tokens[:, :-1]], 1).repeat(2, 1)
    return torch.stack([bart.step(column, cache)[:, : bart.config.image_codes] for column in inputs.T], 1)


def fast_logits(decoder: FastDecoder, text: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
    """What the fast decoder says to these tokens, [R, n, K]."""
    heard: list[Tensor] = []

    def choose(logits: Tensor, noise: Tensor) -> Tensor:
        heard.append(logits.float())
        return noise.argmax(-1)

    decoding = decoder.open(len(tokens), len(text), text.shape[1], choose, graph=False)
    decoding.read(text, mask)
    decoding.write(F.one_hot(tokens, decoder.bart.config.image_codes).float())
    return torch.stack(heard, 1)


def time_fast(decoder: FastDecoder, inputs: Inputs, task: Task, name: str, precision: str) -> Speed:
    """How fast the fast decoder is, and how far its logits are from the readable ones."""
    on_gpu = task.device.type == "cuda"
    said = fast_logits(decoder, inputs.text, inputs.mask, inputs.forced)
    off = ((said - inputs.logits).square().mean().sqrt() / inputs.logits.std()).item()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(task.device)
    decoding = decoder.open(task.pictures, len(inputs.text), inputs.text.shape[1], chooser(task.preset))
    decoding.read(inputs.text, inputs.mask)
    some = inputs.noise[:, : task.tokens]
    runs = tuple(taken / task.tokens for taken in seconds(lambda: decoding.write(some), task.device, task.runs))

    def whole() -> None:
        decoding.read(inputs.text, inputs.mask)
        decoding.write(inputs.noise)

    return Speed(
        name=name, precision=precision, milliseconds=1e3 * middle(list(runs)), runs=runs, off=off,
        whole=middle(seconds(whole, task.device, task.runs)) if on_gpu else None,
        gigabytes=torch.cuda.max_memory_allocated(task.device) / 1e9 if on_gpu else None,
    )  # fmt: skip


def time_peers(task: Task) -> Iterator[tuple[str, str, list[float] | str]]:
    """Peer, precision, and seconds per token of each run, or why there are none; all in one process of their own."""
    config = task.preset.bart
    shape = {
        "device": str(task.device), "threads": torch.get_num_threads(), "width": config.width, "heads": config.heads,
        "hidden": config.hidden, "layers": config.decoder_layers, "glu": config.glu,
        "image_vocab": config.image_vocab, "text_length": config.text_length,
        "pictures": task.pictures, "tokens": task.tokens, "runs": task.runs,
    }  # fmt: skip
    wanted = [(peer, precision) for peer in PEERS for precision in task.precisions if precision != "int8"]
    asked = [{"peer": peer, "precision": precision, **shape} for peer, precision in wanted]
    answers = ask("minidalle.reports.decoding_peers", asked)
    for (peer, precision), taken in zip(wanted, answers, strict=True):
        yield peer, precision, taken if isinstance(taken, str) else [all / task.tokens for all in taken]
