"""What `minidalle bench` prints."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from minidalle.checkpoint import save_json
from minidalle.errors import require
from minidalle.reports.decoding_speed import TOLERANCE, Task, bench_decoding
from minidalle.runtime import pick_device

WIDTH = 120  # of the table where there is no terminal


def show_decoding(
    shape: str,
    device: str,
    pictures: int,
    tokens: int | None,
    runs: int,
    compiled: bool,
    peers: bool,
    file: Path | None,
) -> int:
    """Measure decoding, print the table, and write the JSON file if it is asked for.

    Returns:
        1 if logits were further from the reference than is stated, else 0.
    """
    place = pick_device(device)
    task = Task(shape=shape, device=place, pictures=pictures, tokens=tokens or (16 if place.type == "cpu" else 64),
                runs=runs, compiled=compiled)  # fmt: skip
    longest = task.preset.bart.image_length
    require(task.tokens <= longest, "--tokens", tokens, f"at most {longest}")
    errors = Console(stderr=True)
    found = bench_decoding(task, peers, lambda words: errors.print(words, style="dim", highlight=False))
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    print_machine(found, console)
    print_reading(found, console)
    console.print(decoding_table(found))
    for words in found["left_out"]:
        console.print(f"Left out: {words}", highlight=False)
    if file is not None:
        save_json(file, found)
    return int(any(far_off(row) for row in found["rows"]))


def print_machine(found: dict[str, Any], console: Console) -> None:
    """The machine, and what it can do at most."""
    machine = found["machine"]
    console.print(f"{machine['device']}, {machine['threads']} threads of {machine['cores']} cores, torch "
                  f"{machine['torch']}, Python {machine['python']}", highlight=False)  # fmt: skip
    limits = [f"{name} {value:.3g} {'TFLOP/s' if 'matmul' in name else 'GB/s'}"
              for name, value in found["ceilings"].items()]  # fmt: skip
    console.print(f"Measured: {', '.join(limits)}", highlight=False)


def print_reading(found: dict[str, Any], console: Console) -> None:
    """What the machine's limits mean for a token."""
    once = [f"{precision} {size:.3g} GB, {found['reading_ms'][precision]:.3g} ms"
            for precision, size in found["gigabytes_read"].items()]  # fmt: skip
    console.print(f"Reading the weights once: {'; '.join(once)}", highlight=False)


def decoding_table(found: dict[str, Any]) -> Table:
    """A line for each decoder: its time, beside each other's and beside reading the weights once."""
    table = Table(title=f"{found['shape']}, {found['pictures']} at a time, guided, {found['tokens']} tokens each, "
                  "random weights", title_justify="left", title_style="bold")  # fmt: skip
    whole = any(row["whole"] for row in found["rows"])
    names = ["ms per token", "× min-dalle", "× transformers", "of reading once", "logits off"]
    for name in ["decoder", "precision", *names, *(["all tokens, s", "GB"] if whole else [])]:
        table.add_column(name, justify="left" if name in ("decoder", "precision") else "right")
    for row in found["rows"]:
        cells = [row["name"], row["precision"], f"{row['milliseconds']:.2f}"]
        cells += [times(row, found, peer) for peer in ("min-dalle", "transformers")]
        cells.append(f"{found['reading_ms'][row['precision']] / row['milliseconds']:.0%}")
        cells.append("" if row["off"] is None else f"{row['off']:.1e}{' !' if far_off(row) else ''}")
        if whole:
            cells += ["" if row[name] is None else f"{row[name]:.2f}" for name in ("whole", "gigabytes")]
        table.add_row(*cells)
    table.caption = (
        "Logits off: root mean square, of their standard deviation, from fp32 readable; allowed: "
        + ", ".join(f"{precision} {value:g}" for precision, value in TOLERANCE.items())
    )
    return table


def times(row: dict[str, Any], found: dict[str, Any], peer: str) -> str:
    """How many times as fast as the peer's first line, which is in fp32 where the shape allows it."""
    base = next((other for other in found["rows"] if other["name"] == peer), None)
    return "" if base is None else f"{base['milliseconds'] / row['milliseconds']:.1f}"


def far_off(row: dict[str, Any]) -> bool:
    """Whether a line's logits are further off than is stated."""
    return row["off"] is not None and not row["off"] <= TOLERANCE[row["precision"]]
