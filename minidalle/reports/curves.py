"""Plots of a training's numbers."""

import io
from collections.abc import Sequence
from typing import Any

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: told apart by color-blind readers too
STYLES = ("-", "--", "-.", ":")

Rows = Sequence[dict[str, Any]]


def plot_metrics(rows: Rows, names: dict[str, str], ylabel: str) -> str:
    """Draw some of a training's metrics against its steps.

    Args:
        rows: of `metrics.jsonl`; a row need not have every metric.
        names: metric → what the legend calls it.
        ylabel: what the vertical axis shows, with its unit.

    Returns:
        An SVG element.
    """
    figure, axes = new_plot(5.2, 3.0)
    for (name, label), color, style in zip(names.items(), COLORS, STYLES, strict=False):
        points = [(row["step"], row[name]) for row in rows if name in row]
        marker = "o" if len(points) < 12 else ""
        if points:
            axes.plot(*zip(*points, strict=True), style, color=color, marker=marker, markersize=4, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return as_svg(figure)


def new_plot(width: float, height: float) -> tuple[Any, Any]:
    """An empty plot, so many inches large: its figure and its axes."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def as_svg(figure: Any) -> str:
    """A plot as an SVG element, to stand in a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


def as_png(figure: Any) -> bytes:
    """A plot as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    return buffer.getvalue()
