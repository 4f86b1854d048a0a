"""What `minidalle bench scaling` prints and draws."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from minidalle.checkpoint import atomic_write, save_json
from minidalle.cli.speeds import WIDTH
from minidalle.errors import require
from minidalle.reports.machine import describe
from minidalle.reports.scaling import bench_scaling
from minidalle.reports.scaling_plot import plot_scaling
from minidalle.runtime import pick_device


def show_scaling(device: str, runs: int, out: Path | None, file: Path | None) -> None:
    """Measure how costs grow, print the table, and write the plot and the JSON file if they are asked for."""
    require(out is None or out.suffix == ".png", "--out", str(out), "FILE.png")
    place, errors = pick_device(device), Console(stderr=True)
    found = bench_scaling(place, runs, lambda words: errors.print(words, style="dim", highlight=False))
    machine, console = describe(place), Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    console.print(f"{machine['device']}, {machine['threads']} threads of {machine['cores']} cores, torch "
                  f"{machine['torch']}", highlight=False)  # fmt: skip
    console.print(scaling_table(found))
    for sweep in found:
        console.print(f"{sweep['grows']}: {sweep['words']}.", highlight=False)
    if out is not None:
        atomic_write(out, plot_scaling(found))
    if file is not None:
        save_json(file, {"machine": machine, "sweeps": found})


def scaling_table(found: list[dict[str, Any]]) -> Table:
    """A line for each thing that grows: its cost from the smallest to the largest, and the exponents."""
    table = Table(title="Cost ~ size to the power of …", title_justify="left", title_style="bold")
    for name in ("what grows", "from … to", "milliseconds", "power", "last two", "MB kept", "power"):
        table.add_column(name, justify="left" if name == "what grows" else "right", no_wrap=True)
    for sweep in found:
        kept = [f"{size / 1e6:.3g}" for size in sweep["bytes"]]
        table.add_row(
            sweep["grows"],
            f"{sweep['sizes'][0]} … {sweep['sizes'][-1]}",
            f"{1e3 * sweep['seconds'][0]:.3g} … {1e3 * sweep['seconds'][-1]:.3g}",
            power(sweep["time_exponent"]),
            f"{sweep['end_exponent']:.2f}",
            f"{kept[0]} … {kept[-1]}" if sweep["memory_exponent"] else "",
            power(sweep["memory_exponent"]),
        )
    table.caption = (
        "Power: the slope in log-log by least squares, ± its standard error; last two: between the two largest sizes. "
        "Times are medians. Kept: what autograd keeps of a step, the tokens of the data, or a cache"
    )
    return table


def power(found: tuple[float, float | None] | None) -> str:
    """`1.02 ± 0.01`, without the error where there is none."""
    if found is None:
        return ""
    slope, error = found
    return f"{slope:.2f}" if error is None else f"{slope:.2f} ± {error:.2f}"
