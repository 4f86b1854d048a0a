"""How fast a training step is: readable and fast layers, options on and off, and other people's, in one run."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from minidalle.bart import Bart, Running, shift_right
from minidalle.bart.fast_linear import DTYPES
from minidalle.reports.machine import ceilings, describe, middle, seconds
from minidalle.reports.peers import ask
from minidalle.reports.training_peers import NEEDS
from minidalle.reports.training_tasks import (
    TrainingTask,
    bart_step_flops,
    caption_lengths,
    captions,
    gigabytes,
    image_tokens,
    random_pictures,
)
from minidalle.runtime import autocast
from minidalle.training.bart import BartObjective
from minidalle.training.config import StageConfig
from minidalle.training.gradients import Batch, Losses, add_gradients, checkpointed, compiled
from minidalle.training.optimizers import Optimizers
from minidalle.training.vqgan import fast_format
from minidalle.vqgan import VQGAN
from minidalle.vqgan.autoencoder import Level, Middle
from minidalle.vqgan.losses import LossWeights, reconstruction_loss

PRECISIONS = ("fp32", "bf16")
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1}
"""How far a step's gradient may be from the first line's in fp32: the length of the difference, of its own length."""

PARTS = 2  # of a batch that is taken in parts
OPTIONS = StageConfig(steps=1, batch_size=1, learning_rate=1e-20, warmup=0, hold=1.0)  # weights stay as they are


@dataclass(frozen=True, kw_only=True)
class StepSpeed:
    """One line of the table: `milliseconds` per step (the median of `runs`), of how many `weights`.

    `off`: how far the gradient is from the first line's. `gigabytes`: the most memory, on a GPU only.
    """

    model: str
    name: str
    precision: str
    milliseconds: float
    runs: tuple[float, ...]
    weights: int
    off: float | None = None
    gigabytes: float | None = None


@dataclass(frozen=True)
class Way:
    """How a step is taken."""

    name: str
    running: Running = Running()  # noqa: RUF009  # frozen
    parts: int = 1
    compiled: bool = False


def bench_training(task: TrainingTask, peers: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and return what a table and a JSON file need; `say` hears what is being done."""
    limits = ceilings(task.device, tuple(DTYPES[precision] for precision in PRECISIONS))
    rows, left_out = [*our_bart(task, say), *our_vqgan(task, say)], []
    if peers:
        say("other people's")
        for peer, precision, found in time_peers(task):
            if isinstance(found, str):
                left_out.append(f"{peer}, {precision}: {found}")
            else:
                rows.append(found)
    config, shortest, longest = task.bart, *caption_lengths(task.asked(task.bart, task.batch))
    return {
        "shape": task.shape, "machine": describe(task.device), "ceilings": limits, "steps": task.steps,
        "tolerance": TOLERANCE, "rows": [asdict(row) for row in rows], "left_out": left_out,
        "models": {
            "BART": {"batch": task.batch, "flops": bart_step_flops(config, task.batch, longest),
                     "text_tokens": [shortest, longest], "image_tokens": config.image_length},
            "VQGAN": {"batch": task.vqgan_batch, "flops": vqgan_step_flops(task), "image_size": task.vqgan.image_size,
                      "channels": task.vqgan.channels},
        },
    }  # fmt: skip


def our_bart(task: TrainingTask, say: Callable[[str], None]) -> Iterator[StepSpeed]:
    """The readable step and the fast one in each precision; in bf16 those that need less memory, and compiled code."""
    asked = task.asked(task.bart, task.batch)
    with task.device:
        torch.manual_seed(0)
        bart = Bart(task.bart).train()
    image = image_tokens(asked, task.device)
    colors = torch.zeros(*image.shape, 3, device=task.device)
    batch = (*captions(asked, task.device), shift_right(image, task.bart.start_token), image, colors)
    truth: list[Tensor] = []
    for precision in PRECISIONS:
        for way in [Way("readable", Running(fast=False)), Way("fast"), *options(task, precision)]:
            say(f"BART: {way.name}, {precision}")
            bart.running = way.running
            objective = compiled(BartObjective(bart), way.compiled)

            def losses(part: Batch, objective: nn.Module = objective, precision: str = precision) -> Losses:
                with autocast(task.device, precision):
                    return {"loss": objective(*part, False)["nats"]}

            yield timed_steps("BART", way, precision, bart, objective, batch, losses, truth, task)


def options(task: TrainingTask, precision: str) -> list[Way]:
    """The other ways, in the precision that is trained in."""
    if precision != "bf16":
        return []
    return [
        Way(f"fast, in {PARTS} parts", parts=PARTS),
        Way("fast, checkpointed", Running(recompute=True)),
        *([Way("fast, compiled", compiled=True)] if task.compiled else []),
    ]


def our_vqgan(task: TrainingTask, say: Callable[[str], None]) -> Iterator[StepSpeed]:
    """The step in each precision; in bf16 the one that keeps less, and compiled code."""
    batch, truth = (random_pictures(task.asked(task.vqgan, task.vqgan_batch), task.device),), list[Tensor]()
    for precision in PRECISIONS:
        for way in [Way("plain"), *options(task, precision)]:
            if way.parts > 1:
                continue  # its stage has none
            say(f"VQGAN: {way.name.removeprefix('fast, ')}, {precision}")
            vqgan = new_vqgan(task)
            if way.running.recompute:
                checkpointed(vqgan, (Level, Middle))
            model = compiled(vqgan, way.compiled)

            def losses(part: Batch, model: nn.Module = model, precision: str = precision) -> Losses:
                with autocast(task.device, precision):
                    output = model(part[0], True)
                pixels = reconstruction_loss(output.pictures.float(), part[0], LossWeights(1.0, 0.0, 0.0))
                return {"loss": pixels + output.commitment}

            way = replace(way, name=way.name.removeprefix("fast, "))
            speed = timed_steps("VQGAN", way, precision, vqgan, model, batch, losses, truth, task)
            yield speed if precision == "fp32" else replace(speed, off=None)  # in bf16 some nearest codes are others


def new_vqgan(task: TrainingTask) -> VQGAN:
    """A VQGAN with the same first weights each time, in the memory format that its stage trains in."""
    torch.manual_seed(0)
    with task.device:
        vqgan = VQGAN(task.vqgan).train()
    return vqgan.to(memory_format=fast_format(task.vqgan, task.device))  # type: ignore[call-overload]


def vqgan_step_flops(task: TrainingTask) -> int:
    """Multiplications and additions of a step forward and back, as torch counts them for each operation."""
    vqgan = new_vqgan(task)
    with FlopCounterMode(display=False) as counter:
        output = vqgan(random_pictures(task.asked(task.vqgan, task.vqgan_batch), task.device), True)
        (output.pictures.mean() + output.commitment).backward()
    return counter.get_total_flops()


def timed_steps(
    model: str,
    way: Way,
    precision: str,
    own: nn.Module,
    objective: nn.Module,
    batch: Batch,
    losses: Callable[[Batch], Losses],
    truth: list[Tensor],
    task: TrainingTask,
) -> StepSpeed:
    """Compare the gradient with the first way's, which is kept in `truth`, then time whole steps."""
    parameters = [parameter for parameter in own.parameters() if parameter.requires_grad]
    optimizers = Optimizers(own, OPTIONS, elsewhere=())

    def steps() -> None:
        for _ in range(task.steps):
            add_gradients(objective, batch, way.parts, losses)
            optimizers.clip()
            optimizers.step(0)

    with gigabytes(task.device) as most:
        runs = seconds(steps, task.device, task.runs)
    memory = most()
    add_gradients(objective, batch, way.parts, losses)
    gradients = [(torch.zeros_like(p) if p.grad is None else p.grad).cpu() for p in parameters]  # no GPU keeps `truth`
    own.zero_grad(set_to_none=True)
    truth[:] = truth or gradients
    squares = [[(a - b).square().sum().item(), b.square().sum().item()] for a, b in zip(gradients, truth, strict=True)]
    apart, length = (sum(numbers) ** 0.5 for numbers in zip(*squares, strict=True))
    taken = tuple(run / task.steps for run in runs)
    return StepSpeed(
        model=model, name=way.name, precision=precision, milliseconds=1e3 * middle(list(taken)), runs=taken,
        weights=sum(parameter.numel() for parameter in parameters), off=apart / length, gigabytes=memory,
    )  # fmt: skip


def time_peers(task: TrainingTask) -> Iterator[tuple[str, str, StepSpeed | str]]:
    """Peer, precision, and its line, or why there is none; a process for each peer, which gives its memory back."""
    for peer in NEEDS:
        model = "VQGAN" if peer == "taming" else "BART"
        config, batch = (task.vqgan, task.vqgan_batch) if model == "VQGAN" else (task.bart, task.batch)
        asked = [{**task.asked(config, batch), "peer": peer, "precision": precision} for precision in PRECISIONS]
        for precision, found in zip(PRECISIONS, ask("minidalle.reports.training_peers", asked), strict=True):
            if not isinstance(found, str):
                taken = tuple(run / task.steps for run in found["runs"])
                found = StepSpeed(model=model, name=peer, precision=precision, runs=taken, weights=found["weights"],
                                  milliseconds=1e3 * middle(list(taken)), gigabytes=found["gigabytes"])  # fmt: skip
            yield peer, precision, found
