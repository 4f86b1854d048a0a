"""The tables that `minidalle evaluate` prints, and what tables are made with."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from minidalle.evaluation import Estimate, Evaluation
from minidalle.evaluation.scoring import AGAIN, COPIED, DRAWN, FOUND, GUESS, LEAD, RANDOM

PICTURE_MEASURES = {
    "base_recall": "right thing",
    "style_swap": "right style",
    "tone_swap": "right tone",
    "gender_swap": "right gender",
    "psnr": "PSNR, dB",
    "caption_recall": "CLIP finds it",
}


def reconstruction_table(result: Evaluation) -> Table:
    """Likeness of reconstructions, and the PSNR of two pictures that need no VQGAN."""
    figures = ["PSNR, dB", "SSIM", "L1", "codes used", "one color per cell, dB", "nearest training picture, dB"]
    table = new_table("What the VQGAN loses", ["split", "part", "rows"], figures)
    for split, part in _parts(result, "reconstruction"):
        psnr, ssim, l1, codes = (
            result.value("reconstruction", split, part, AGAIN, name) for name in ("psnr", "ssim", "l1", "codes_used")
        )
        flat, copied = (
            result.value("reconstruction", split, part, source, "psnr") for source in ("one color per cell", COPIED)
        )
        table.add_row(*_names(split, part, psnr), cell(psnr, 2), cell(ssim, 3), cell(l1, 3), _plain(codes, 0),
                      _plain(flat, 2), _plain(copied, 2), end_section=_is_last(result, split, part))  # fmt: skip
    return table


def likelihood_table(result: Evaluation) -> Table:
    """Nats with the caption, beside what the model would say without it, and a guess."""
    table = new_table("How surprised the BART is by real pictures", ["split", "part", "rows"],
                   ["nats per token", "nats per picture", "per token with no caption", "all codes alike"])  # fmt: skip
    for split, part in _parts(result, "likelihood"):
        token, picture = (
            result.value("likelihood", split, part, "with its caption", f"nats_per_{what}")
            for what in ("token", "picture")
        )
        blind, guess = (
            result.value("likelihood", split, part, source, "nats_per_token")
            for source in ("with no caption", "all codes alike")
        )
        table.add_row(*_names(split, part, token), cell(token, 3), cell(picture, 1), _plain(blind, 3),
                      _plain(guess, 3), end_section=_is_last(result, split, part))  # fmt: skip
    return table


def picture_table(result: Evaluation) -> Table:
    """What was drawn, beside every baseline; people and things apart are in the JSON file only."""
    measured = {score.measure for score in result.scores if score.table == "pictures"}
    measures = [name for name in PICTURE_MEASURES if name in measured]
    table = new_table("What the pictures show", ["split", "part", "rows", "whose picture"],
                   [PICTURE_MEASURES[name] for name in measures])  # fmt: skip
    sources = (DRAWN, AGAIN, COPIED, LEAD, FOUND, RANDOM, GUESS)
    for split, part in _parts(result, "pictures"):
        if part in ("people", "things"):
            continue
        for source in sources:
            values = [result.value("pictures", split, part, source, name) for name in measures]
            names = _names(split, part, values[0]) if source == DRAWN else ("", "", "")
            digits = [2 if name != "psnr" else 1 for name in measures]
            cells = [cell(value, places) for value, places in zip(values, digits, strict=True)]
            if any(values):
                table.add_row(*names, source, *cells, end_section=source == GUESS)
        table.add_section()
    return table


def group_table(result: Evaluation) -> Table:
    """Who comes out worse, of all held-out rows: drawn, beside copying and what the VQGAN can show at all."""
    measures = ["base_recall", "style_swap", "tone_swap", "gender_swap"]
    figures = [*(PICTURE_MEASURES[name] for name in measures), "right thing, copied", "reconstruction, dB"]
    table = new_table("Who comes out worse, of all held-out rows", ["group", "rows"], figures)
    for _, group in _parts(result, "groups"):
        drawn = [result.value("groups", "held out", group, DRAWN, name) for name in measures]
        copied = result.value("groups", "held out", group, COPIED, "base_recall")
        again = result.value("groups", "held out", group, AGAIN, "psnr")
        rows = f"{again.rows:,}" if again else ""
        table.add_row(group, rows, *(cell(value, 2) for value in drawn), _plain(copied, 2), cell(again, 1))
    return table


def prompt_table(result: Evaluation) -> Table:
    """Free text: is a concept that was meant the nearest, or among the nearest five?"""
    table = new_table("Free text", ["prompts", "whose picture"], ["first", "among the first five"])
    kinds = dict.fromkeys(score.part for score in result.scores if score.table == "free text")
    for kind in kinds:
        for source in (DRAWN, FOUND, RANDOM):
            values = (result.value("free text", "prompts", kind, source, f"top_{k}") for k in (1, 5))
            table.add_row(kind if source == DRAWN else "", source, *(cell(value, 2) for value in values),
                          end_section=source == RANDOM)  # fmt: skip
    return table


def new_table(title: str, names: Sequence[str], figures: Sequence[str]) -> Table:
    """An empty table, with columns of names at the left and of figures at the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name == "rows" else "left", no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def _parts(result: Evaluation, table: str) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys((score.split, score.part) for score in result.scores if score.table == table)


def _is_last(result: Evaluation, split: str, part: str) -> bool:
    return [there for here, there in _parts(result, "likelihood") if here == split][-1] == part


def _names(split: str, part: str, value: Estimate | None) -> tuple[str, str, str]:
    return (split if part == "all" else "", part, f"{value.rows:,}" if value else "")


def cell(value: Estimate | None, digits: int) -> str:
    """`0.19 (0.10, 0.27)`, without brackets where there is no interval, and a dash where there is no value."""
    if value is None or value.low is None:
        return _plain(value, digits)
    return f"{value.mean:.{digits}f} ({value.low:.{digits}f}, {value.high:.{digits}f})"


def _plain(value: Estimate | None, digits: int) -> str:
    return "–" if value is None else f"{value.mean:.{digits}f}"
