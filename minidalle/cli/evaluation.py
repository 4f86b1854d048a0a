"""`minidalle evaluate`: measure a run, print the tables, write the figures and pages of pictures."""

import sys
import time
from pathlib import Path

from rich.console import Console

from minidalle.checkpoint import atomic_write, save_json
from minidalle.cli.drawing import drawer, judge_of, run_or_shipped
from minidalle.cli.places import require_folder
from minidalle.cli.tables import group_table, likelihood_table, picture_table, prompt_table, reconstruction_table
from minidalle.data.origin import data_of, open_pictures
from minidalle.evaluation import Evaluation, evaluate, load_prompts
from minidalle.evaluation.parts import MOST_OF_TRAIN, PARTS
from minidalle.evaluation.sheets import sheets
from minidalle.pipeline import load
from minidalle.reports.page import png
from minidalle.runtime import pick_device

MOST = 200  # rows of each split, unless all are asked for
WIDTH = 170  # of the tables where there is no terminal


def evaluate_run(run: Path | None, out: Path | None, every_row: bool, candidates: int, device: str) -> None:
    """Measure a run, or the weights that are shipped; say how it went, and where the rest is."""
    folder, out = run_or_shipped(run), out or (run / "evaluation" if run else Path("evaluation"))
    require_folder(out)
    began, where = time.monotonic(), pick_device(device)
    pipeline = load(folder, where)
    source = data_of(folder) if (folder / "run.json").exists() else None
    pictures = open_pictures(source, pipeline.vqgan.config.image_size)
    scorer = judge_of(folder, "scorer", where) if source is None else None
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    result = evaluate(
        pipeline,
        pictures,
        drawer(pipeline, folder, pipeline.sampling, candidates),
        scorer=scorer,
        most=None if every_row else MOST,
        prompts=load_prompts() if source is None else (),
        say=lambda line: console.print(line, style="dim", highlight=False),
    )
    _print(console, result)
    settings = {"run": folder.name, "data": source.source if source else "emoji", "rows": len(result.rows),
                "all_rows": every_row, "candidates": candidates, "scorer": scorer is not None,
                "seconds": round(result.seconds, 1), "drawn_per_second": round(result.drawn_per_second, 1)}  # fmt: skip
    save_json(out / "evaluation.json", {"settings": settings, "scores": result.records()})
    for name, page in sheets(result, pictures).items():
        atomic_write(out / f"{name}.png", png(page))
    took = time.monotonic() - began
    speed = f"{len(result.rows) / took:.1f} rows per second ({result.drawn_per_second:.1f} while drawing)"
    console.print(f"{len(result.rows):,} rows in {took:.0f} s, {speed}: {out}", highlight=False)


def _print(console: Console, result: Evaluation) -> None:
    console.print(reconstruction_table(result), likelihood_table(result), picture_table(result))
    if any(score.table == "groups" for score in result.scores):
        console.print(group_table(result))
    if result.drawings:
        console.print(prompt_table(result))
    notes = [
        "In brackets: 95 % intervals, from resampling whole concepts (prompts for free text).",
        "right thing: the nearest of all real pictures shows the right concept (base R@1).",
        "right style, tone, gender: of the real pictures that differ in nothing but that, the row's own is nearest.",
        "nearest training picture: an oracle that knows the answer and copies; real pictures score 1 throughout.",
        *(f"{part}: {meaning}." for part, meaning in PARTS.items() if part != "all"),
        f"train: at most {MOST_OF_TRAIN} rows, with and without skin tones, also with --all.",
    ]
    if not any(score.measure == "caption_recall" for score in result.scores):
        notes.append("CLIP finds it: left out, for there is no scorer.")
    console.print("\n".join(notes), style="dim", highlight=False)
