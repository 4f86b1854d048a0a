"""How costs grow, drawn: a panel for each thing that grows, both axes logarithmic."""

from typing import Any

import numpy as np

from minidalle.reports.curves import COLORS, as_png

PER_ROW = 3


def plot_scaling(found: list[dict[str, Any]]) -> bytes:
    """Draw each sweep's time and memory as multiples of the smallest size's, its fitted lines, and proportion.

    Args:
        found: what `bench_scaling` gave.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    rows = -(-len(found) // PER_ROW)
    figure = Figure(figsize=(4.2 * PER_ROW, 3.3 * rows), layout="constrained")
    for place, sweep in enumerate(found, start=1):
        axes = figure.add_subplot(rows, PER_ROW, place)
        sizes = np.array(sweep["sizes"], float)
        name = "proportion" if sweep["ideal"] > 0 else "inverse proportion"
        axes.plot(sizes, (sizes / sizes[0]) ** sweep["ideal"], ":", color="gray", label=name)
        _draw(axes, sizes, sweep["seconds"], sweep["time_exponent"], "time", COLORS[0], "o", "-")
        if sweep["memory_exponent"]:
            _draw(axes, sizes, sweep["bytes"], sweep["memory_exponent"], "memory", COLORS[1], "s", "--")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.set_xlabel(sweep["grows"])
        axes.set_ylabel("times the first")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return as_png(figure)


def _draw(
    axes: Any,
    sizes: np.ndarray,
    costs: list[float],
    fitted: tuple[float, float | None],
    name: str,
    color: str,
    marker: str,
    style: str,
) -> None:
    """Points, and the fitted line through their middle."""
    times = np.array(costs) / costs[0]
    middle = np.exp(np.log(times).mean() + fitted[0] * (np.log(sizes) - np.log(sizes).mean()))
    axes.plot(sizes, times, marker, color=color, markersize=5)
    axes.plot(sizes, middle, style, color=color, marker=marker, markevery=[], label=f"{name}: power {fitted[0]:.2f}")
