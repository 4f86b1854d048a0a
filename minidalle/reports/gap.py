"""The page of `minidalle gap`: figures with their errors, plots, and the drawings that come nearest to training."""

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from minidalle.checkpoint import atomic_write
from minidalle.evaluation.sheets import page as picture_page
from minidalle.generalization.gap import Difference
from minidalle.generalization.measuring import Generalization
from minidalle.reports.curves import COLORS, STYLES, as_png, as_svg, new_plot
from minidalle.reports.page import png, write_page
from minidalle.reports.run import UNSEEN

MARKERS = "osD^vP"


def write_gap_report(folder: Path, result: Generalization) -> Path:
    """Write `gap.html`, which needs no other file, and its plots and pictures as PNG files beside it.

    Returns:
        The page's path.
    """
    plots = {"gaps": plot_gaps(result), "distances": plot_distances(result)}
    if result.density:
        plots["spectrum"] = plot_spectrum(result)
    files = {name: as_png(plot) for name, plot in plots.items()}
    copies = result.copies
    labels = [f"{caption} / {other}" for caption, other in zip(copies.captions, copies.training_captions, strict=True)]
    strips = [copies.drawn, copies.training, copies.real]
    files["nearest"] = png(picture_page(strips, ("drawn", "nearest of train", "real"), labels))
    for name, content in files.items():
        atomic_write(folder / f"{name}.png", content)
    svgs = {name: Markup(as_svg(plot)) for name, plot in plots.items()}
    return write_page(folder / "gap.html", "gap.html", result=result, plots=svgs, unseen=UNSEEN, copies=copies)


def plot_gaps(result: Generalization) -> Any:
    """Raw and adjusted gap of every split: thick intervals over images, thin ones over roles."""
    figure, axes = new_plot(6.4, 3.4)
    splits = [split for split in result.splits if split.gap]
    for number, (name, color) in enumerate((("gap", COLORS[0]), ("adjusted gap", COLORS[1]))):
        for place, split in enumerate(splits):
            assert split.gap is not None
            value: Difference = split.gap.raw if name == "gap" else split.gap.adjusted
            at, label = place + 0.2 * number - 0.1, name if place == 0 else None
            axes.plot([at, at], value.interval("role"), color=color, lw=1.2)
            axes.plot([at, at], value.interval("image"), color=color, lw=4, alpha=0.4)
            axes.plot(at, value.gap, MARKERS[number], color=color, label=label)
    axes.axhline(0, color="#888888", lw=0.8)
    axes.set_xticks(range(len(splits)), [split.split for split in splits])
    axes.set_ylabel("nats per token above train")
    axes.legend(frameon=False)
    return figure


def plot_distances(result: Generalization) -> Any:
    """How far drawings of each split, and unseen real pictures, are from the nearest training picture."""
    figure, axes = new_plot(6.4, 3.4)
    names = [name for name in result.distances if name != "real"]
    for number, name in enumerate([*names, "real"]):
        values = np.sort(result.distances[name])
        real = name == "real"
        label = f"real pictures of {result.null}" if real else f"drawn, {name}"
        style, color = STYLES[(number + number // 4) % 4], COLORS[number % 4]  # no two splits share both
        axes.step(values, np.arange(1, len(values) + 1) / len(values), "-" if real else style, where="post",
                  label=label, color="#000000" if real else color, lw=2.2 if real else 1.2)  # fmt: skip
    axes.set_xlabel("distance to the nearest training picture")
    axes.set_ylabel("share of pictures")
    axes.legend(frameon=False, fontsize=8)
    return figure


def plot_spectrum(result: Generalization) -> Any:
    """The density of the Hessian's eigenvalues, on a logarithmic axis."""
    assert result.density is not None
    figure, axes = new_plot(6.4, 3.2)
    grid, density = (part.numpy() for part in result.density)
    axes.semilogy(grid, density.clip(min=density.max() * 1e-8), color=COLORS[0])
    axes.set_xlabel("eigenvalue of the Hessian of the training loss")
    axes.set_ylabel("density")
    return figure
