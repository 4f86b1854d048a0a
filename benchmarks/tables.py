"""Tables for README, model card and benchmarks, as Markdown: python benchmarks/tables.py runs/baseline runs/cpu …

Each argument is a folder in which `minidalle evaluate --all` has written `evaluation/evaluation.json`, or such a file.
"""

import argparse
import json
from pathlib import Path
from typing import Any

PARTS = {
    "train": ("toned", "objects"),
    "dev": ("toned", "objects"),
    "iid": ("toned", "objects"),
    "cell": ("toned", "objects"),
    "tone": ("all",),
    "combo": ("all",),
    "concept": ("toned", "objects"),
}
SAID = {"toned": "skin tone named", "objects": "none named"}
DRAWN, COPIED, AGAIN, LEAD = "drawn", "nearest training picture", "reconstruction", "drawn minus nearest training"
SWAPS = {"style_swap": "style", "tone_swap": "tone", "gender_swap": "gender"}

Scores = dict[tuple[str, str, str, str, str], dict[str, Any]]


def read(path: Path) -> Scores:
    """The figures of an evaluation, by table, split, part, source and measure."""
    path = path if path.suffix == ".json" else path / "evaluation" / "evaluation.json"
    records = json.loads(path.read_text(encoding="utf-8"))["scores"]
    return {tuple(record[k] for k in ("table", "split", "part", "source", "measure")): record for record in records}


def cell(value: dict[str, Any] | None, digits: int = 2, interval: bool = True) -> str:
    """`0.19 [0.10, 0.27]`."""
    if value is None:
        return "–"
    whole = f"{value['mean']:.{digits}f}"
    if not interval or value["low"] is None:
        return whole
    return f"{whole} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def splits(scores: Scores) -> str:
    """One run: what its VQGAN keeps, how surprised its BART is, what it draws, and what copying would get."""
    rows = []
    for split, parts in PARTS.items():
        for part in parts:
            known = ("likelihood", split, part, "with its caption", "nats_per_token") in scores
            part = part if known else "all"  # a part that is the whole split is not told apart
            picture = (DRAWN, COPIED)
            right = [scores.get(("pictures", split, part, source, "base_recall")) for source in picture]
            surprise = scores[("likelihood", split, part, "with its caption", "nats_per_token")]
            judged = scores.get(("pictures", split, part, DRAWN, "caption_recall"))
            rows.append(
                [f"`{split}`" + (f", {SAID[part]}" if part in SAID else ""), f"{surprise['rows']}",
                 cell(scores.get(("reconstruction", split, part, AGAIN, "psnr")), 1), cell(surprise),
                 cell(right[0]), cell(right[1]), cell(judged, interval=False)]
            )  # fmt: skip
    head = ["rows", "n", "PSNR, dB", "nats per token", "right thing: drawn", "copied", "CLIP finds it"]
    return table(head, rows)


def swaps(scores: Scores) -> str:
    """One run: is the row's own sibling the nearest, drawn and copied; and the PSNR of both to the real picture."""
    rows = []
    for split in PARTS:
        cells = [f"`{split}`"]
        for measure in ("base_recall", *SWAPS, "psnr"):
            places = 1 if measure == "psnr" else 2
            found = [scores.get(("pictures", split, "all", source, measure)) for source in (DRAWN, COPIED)]
            cells.append(" / ".join(cell(value, places, interval=False) for value in found))
            if measure != "psnr":
                cells[-1] += f" ({cell(scores.get(('pictures', split, 'all', LEAD, measure)))})"
        rows.append(cells)
    return table(["rows", "right thing", *(f"right {name}" for name in SWAPS.values()), "PSNR, dB"], rows)


def groups(scores: Scores) -> str:
    """One run: who comes out worse."""
    rows = []
    for group in dict.fromkeys(part for name, _, part, _, _ in scores if name == "groups"):
        of = {(source, measure): scores.get(("groups", "held out", group, source, measure))
              for source in (DRAWN, COPIED, AGAIN) for measure in ("base_recall", "psnr", *SWAPS)}  # fmt: skip
        again = of[AGAIN, "psnr"]
        rows.append(
            [group, f"{again['rows'] if again else ''}", cell(again, 1), cell(of[DRAWN, "base_recall"]),
             cell(of[COPIED, "base_recall"], interval=False), *(cell(of[DRAWN, swap]) for swap in SWAPS)]
        )  # fmt: skip
    head = ["group", "rows", "reconstruction, dB", "right thing: drawn", "copied"]
    return table([*head, *(f"right {name}" for name in SWAPS.values())], rows)


def prompts(scores: Scores) -> str:
    """One run: free text."""
    kinds = dict.fromkeys(part for name, _, part, _, _ in scores if name == "free text")
    rows = [
        [kind, *(cell(scores.get(("free text", "prompts", kind, source, "top_5")))
                 for source in (DRAWN, "caption retrieval", "random picture"))]
        for kind in kinds
    ]  # fmt: skip
    return table(["prompts", "drawn", "caption retrieval", "random picture"], rows)


def main() -> None:
    """Print all tables of all runs."""
    parser = argparse.ArgumentParser(description="Print evaluations as tables of Markdown.")
    parser.add_argument("runs", type=Path, nargs="+")
    for run in parser.parse_args().runs:
        scores = read(run)
        for title, make in (("splits", splits), ("swaps", swaps), ("groups", groups), ("free text", prompts)):
            print(f"\n### {run.name}: {title}\n\n{make(scores)}")


if __name__ == "__main__":
    main()
