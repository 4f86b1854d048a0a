"""`minidalle gap`: how well a run generalizes, as a table, a JSON file and a page."""

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from minidalle.checkpoint import save_json
from minidalle.cli.drawing import drawer, run_or_shipped
from minidalle.cli.places import require_folder
from minidalle.cli.tables import cell, new_table
from minidalle.data.origin import data_of, open_pictures
from minidalle.errors import require
from minidalle.evaluation.parts import HELD_OUT
from minidalle.generalization.gap import Difference
from minidalle.generalization.measuring import Generalization, Settings, measure
from minidalle.pipeline import load
from minidalle.reports.gap import write_gap_report
from minidalle.runtime import pick_device

WIDTH = 170  # of the tables where there is no terminal


class Bars:
    """A bar for everything that is measured."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description:28}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show how far it is; where there is no terminal, say what begins."""
        if what not in self.tasks:
            for task in self.tasks.values():
                self.progress.stop_task(task)
            self.tasks[what] = self.progress.add_task(what, total=of or None, count="")
            if self.progress.disable:
                print(what, flush=True)
        self.progress.update(self.tasks[what], completed=done, count=f"{done}/{of}" if of else str(done or ""))


def measure_gap(
    run: Path | None, splits: str | None, out: Path | None, rows: int, curvature: bool, device: str
) -> None:
    """Measure a run, or the weights that are shipped; say how it went, and where the rest is."""
    folder, out = run_or_shipped(run), out or (run / "gap" if run else Path("gap"))
    require_folder(out)
    asked = chosen_splits(splits)
    settings = Settings(rows=rows, drawn=max(2, rows // 2), curvature=Settings.curvature if curvature else 0)
    began, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else WIDTH)
    pipeline = load(folder, pick_device(device))
    source = data_of(folder) if (folder / "run.json").exists() else None
    pictures = open_pictures(source, pipeline.vqgan.config.image_size)
    draw = drawer(pipeline, folder, pipeline.sampling, candidates=1)
    bars = Bars(console)
    with bars.progress:
        result = measure(pipeline, pictures, draw, asked, settings, bars)
    console.print(gap_table(result), copy_table(result), *([curvature_table(result)] if result.curvature else []))
    console.print("\n".join(notes(result)), style="dim", highlight=False)
    save_json(out / "gap.json", {"run": folder.name, "data": source.source if source else "emoji"} | result.records())
    page = write_gap_report(out, result)
    console.print(f"{time.monotonic() - began:.0f} s: {page}", highlight=False, soft_wrap=True)


def chosen_splits(asked: str | None) -> tuple[str, ...]:
    """The held-out splits of names with commas; all without names, or for `all`."""
    if asked in (None, "all"):
        return HELD_OUT
    names = tuple(asked.replace(",", " ").split())
    known = bool(names) and all(name in HELD_OUT for name in names)
    require(known, "--splits", asked, f"all, or some of {', '.join(HELD_OUT)}")
    return names


def gap_table(result: Generalization) -> Table:
    """Loss and gap of every split."""
    names = ("nats per token", "caption gain", "gap", "gap, over images", "adjusted gap")
    table = new_table("What was not seen", ("split", "rows"), names)
    for split in result.splits:
        raw, adjusted = (split.gap.raw, split.gap.adjusted) if split.gap else (None, None)
        table.add_row(split.split, f"{split.rows:,}", cell(split.loss, 2), cell(split.caption_gain, 2),
                      _signed(raw, "role"), _signed(raw, "image"), _signed(adjusted, "role"))  # fmt: skip
    return table


def copy_table(result: Generalization) -> Table:
    """What was drawn of every split, and whether it was copied."""
    names = ("right thing drawn", "distance of the real ones", "nearer to train", "through the VQGAN")
    table = new_table("Did it copy?", ("split",), names)
    for split in result.splits:
        table.add_row(split.split, cell(split.right, 2), f"{split.distance:.3f}" if split.gap else "–",
                      cell(split.nearer, 2), cell(split.nearer_again, 2))  # fmt: skip
    return table


def curvature_table(result: Generalization) -> Table:
    """How the training loss bends at the weights."""
    table = new_table("The training loss near the weights", ("measure", "which error"), ("value", "error"))
    for one in result.curvature:
        table.add_row(one.name, one.error_is, f"{one.value:.4g}", f"{one.error:.3g}" if one.error else "–")
    return table


def notes(result: Generalization) -> list[str]:
    """What the columns mean."""
    return [
        "In brackets: 95 % intervals, over roles (four styles of one thing are not four facts), but for the gap over "
        "images.",
        "gap: nats of the split minus those of train. It also says which pictures are harder, and can be negative.",
        "caption gain: how much lower the loss is than with the empty caption. adjusted gap: how much of it is lost.",
        "distance: from the split's real pictures to the nearest of train, the median of the error of what is drawn.",
        f"nearer to train: how often a drawing is nearer to train than an unseen picture ({result.null}). More than .5 "
        "is copying;",
        "less is not proof that nothing was copied. through the VQGAN: the same of real pictures that were only "
        "reconstructed.",
    ]


def _signed(value: Difference | None, of: str) -> str:
    if value is None:
        return "–"
    low, high = value.interval(of)
    return f"{value.gap:+.2f} ({low:+.2f}, {high:+.2f})"
