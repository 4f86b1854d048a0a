"""What `minidalle bench train` prints."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from minidalle.checkpoint import save_json
from minidalle.cli.speeds import WIDTH, print_machine
from minidalle.reports.training_speed import TOLERANCE, bench_training
from minidalle.reports.training_tasks import BATCHES, TrainingTask
from minidalle.runtime import pick_device

PEERS = {"BART": ("transformers, sdpa", "transformers, eager"), "VQGAN": ("taming",)}
"""Whose steps are compared with ours."""

COUNTED = {"BART": "from its shape (6 × weights × tokens, and attention)", "VQGAN": "by torch's flop counter"}
"""How a step's arithmetic is counted."""


def show_training(
    shape: str,
    device: str,
    batch: int | None,
    steps: int | None,
    runs: int,
    compiled: bool | None,
    peers: bool,
    file: Path | None,
) -> int:
    """Measure training steps, print the tables, and write the JSON file if it is asked for.

    Returns:
        1 if a gradient was further from the readable one than is stated, else 0.
    """
    place = pick_device(device)
    on_gpu = place.type == "cuda"
    task = TrainingTask(
        shape=shape, device=place, runs=runs, steps=steps or (5 if on_gpu else 1),
        batch=batch or BATCHES["cuda" if on_gpu else "cpu"][shape], compiled=on_gpu if compiled is None else compiled,
    )  # fmt: skip
    errors = Console(stderr=True)
    found = bench_training(task, peers, lambda words: errors.print(words, style="dim", highlight=False))
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    print_machine(found, console)
    for model in PEERS:
        console.print(steps_table(found, model))
    for words in found["left_out"]:
        console.print(f"Left out: {words}", highlight=False)
    if file is not None:
        save_json(file, found)
    return int(any(far_off(row) for row in found["rows"]))


def steps_table(found: dict[str, Any], model: str) -> Table:
    """A line for each way to take a step: its time, beside the others', and beside the fastest matrix product."""
    rows = [row for row in found["rows"] if row["model"] == model]
    on_gpu, tf32 = any(row["gigabytes"] for row in rows), any(in_tf32(row, found) for row in rows)
    table = Table(title=title(found, model), title_justify="left", title_style="bold")
    times = [f"× {peer.removeprefix('transformers, ')}" for peer in PEERS[model]]
    names = ["M weights", "ms per step", "pictures/s", *times, "MFU", *(["GB"] if on_gpu else []), "gradient off"]
    for name in ["step", "precision", *names]:
        table.add_column(name, justify="left" if name in ("step", "precision") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            row["precision"],
            f"{row['weights'] / 1e6:.3g}",
            f"{row['milliseconds']:.4g}",
            f"{1e3 * found['models'][model]['batch'] / row['milliseconds']:.3g}",
            *(times_as_fast(row, rows, peer) for peer in PEERS[model]),
            "" if in_tf32(row, found) else f"{of_the_ceiling(row, found):.0%}",
            *([f"{row['gigabytes']:.2f}"] if on_gpu else []),
            "" if row["off"] is None else f"{row['off']:.0e}{' !' if far_off(row) else ''}",
        )
    about, allowed = found["models"][model], [f"{precision} {value:g}" for precision, value in TOLERANCE.items()]
    table.caption = (
        f"MFU: the {about['flops'] / 1e9:,.3g} GFLOP of a step, counted {COUNTED[model]}, per second, of the measured "
        "matrix product in that precision. Gradient off: length of its difference from the first line's, of its "
        f"length; allowed: {', '.join(allowed)}{'. fp32: but for convolutions, which are in TF32' if tf32 else ''}"
    )
    return table


def title(found: dict[str, Any], model: str) -> str:
    """What a table's steps are of."""
    about = found["models"][model]
    if model == "BART":
        least, most = about["text_tokens"]
        return (f"BART, {found['shape']}: {about['batch']} pictures of {about['image_tokens']} tokens, captions of "
                f"{least} to {most}; forward, backward, clip, AdamW")  # fmt: skip
    return (f"VQGAN, the published layout with {about['channels']} channels: {about['batch']} pictures of "
            f"{about['image_size']} × {about['image_size']}; L1 and codebook losses alone")  # fmt: skip


def times_as_fast(row: dict[str, Any], rows: list[dict[str, Any]], peer: str) -> str:
    """How many times as fast as that peer in the same precision."""
    base = [other for other in rows if (other["name"], other["precision"]) == (peer, row["precision"])]
    return f"{base[0]['milliseconds'] / row['milliseconds']:.2f}" if base else ""


def of_the_ceiling(row: dict[str, Any], found: dict[str, Any]) -> float:
    """The model's arithmetic per second over that of the matrix product (MFU, against what was measured)."""
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[row["precision"]]
    ceiling = found["ceilings"][f"matmul {str(kind).removeprefix('torch.')}"] * 1e12
    return found["models"][row["model"]]["flops"] / (row["milliseconds"] / 1e3) / ceiling


def in_tf32(row: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether a line's convolutions are in TF32, torch's default on a GPU: the products are not, so no ceiling fits."""
    return (row["model"], row["precision"], found["machine"]["kind"]) == ("VQGAN", "fp32", "cuda")


def far_off(row: dict[str, Any]) -> bool:
    """Whether a line's gradient is further off than is stated."""
    return row["off"] is not None and not row["off"] <= TOLERANCE[row["precision"]]
