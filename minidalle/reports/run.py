"""The report of a run: held-out captions drawn, beside the real pictures; losses by split; curves."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from minidalle.checkpoint import atomic_write, load_json, save_json
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import sheet, to_floats, to_pixels
from minidalle.evaluation import HELD_OUT, score_splits, some_rows
from minidalle.pipeline import TextToImage, load
from minidalle.presets import Preset
from minidalle.reports.curves import plot_metrics
from minidalle.reports.page import png, write_page
from minidalle.training.history import read_metrics

PICTURES = 12  # drawn of each split

UNSEEN = {
    "dev": "rows drawn at random, which chose the best checkpoint",
    "iid": "rows drawn at random; their concepts are in train in other styles",
    "cell": "a role in one style; the role is in train in other styles",
    "tone": "a role and gender in one skin tone, in every style; other tones are in train",
    "combo": "roles that train has in the default tone only",
    "concept": "roles that train does not have at all",
}


def write_report(folder: Path, preset: Preset, pictures: CaptionedPictures, device: str) -> Path:
    """Draw and measure a finished run.

    Writes `report.html`, `scores.json`, and a sheet `pictures/SPLIT.png` for every held-out split: the real
    pictures, their reconstructions, and what was drawn from the captions, in three rows.

    Returns:
        The report's path.
    """
    pipeline = load(folder, device)
    scores = score_splits(pipeline, pictures, partial(pipeline.draw, sampling=preset.sampling))
    save_json(folder / "scores.json", [asdict(score) for score in scores])
    galleries = [_gallery(pipeline, preset, pictures, split) for split in HELD_OUT if split in set(pictures.splits)]
    for gallery in galleries:
        columns = [
            np.concatenate([example[kind] for example in gallery["examples"]]) for kind in ("real", "again", "drawn")
        ]
        strips, width = np.concatenate(columns), len(gallery["examples"])
        page = sheet(strips.reshape(-1, *pictures.pictures.shape[1:]), width, scale=3)
        atomic_write(folder / "pictures" / f"{gallery['split']}.png", png(page))
    return write_page(folder / "report.html", "run.html", preset=preset, scores=scores, galleries=galleries,
                      unseen=UNSEEN, run=load_json(folder / "run.json"), pictures=pictures, curves=_curves(folder),
                      parameters=_parameters(pipeline), log_codes=np.log(preset.vqgan.codes))  # fmt: skip


def _gallery(pipeline: TextToImage, preset: Preset, pictures: CaptionedPictures, split: str) -> dict[str, Any]:
    """The first few of a split's drawn rows, with seed 0 each: nothing is picked by looking."""
    rows = some_rows(pictures, split, PICTURES)
    captions, real = [pictures.captions[row] for row in rows], pictures.pictures[rows]
    again = to_pixels(pipeline.decode_image(pipeline.vqgan.encode(to_floats(real, pipeline.device))))
    drawn = to_pixels(pipeline.draw(captions, [0] * len(rows), preset.sampling))
    examples = [
        {"caption": caption, "real": real[i], "again": again[i], "drawn": drawn[i]}
        for i, caption in enumerate(captions)
    ]
    return {"split": split, "unseen": UNSEEN[split], "examples": examples}


def _curves(folder: Path) -> list[dict[str, Any]]:
    vqgan, bart = (read_metrics(folder / "training" / stage) for stage in ("vqgan", "bart"))
    bart = [{**row, "dev_nats": row["dev_loss"]} if "dev_loss" in row else row for row in bart]
    plots = [
        ("VQGAN: reconstruction", vqgan, {"psnr": "train, batch", "dev_psnr": "dev"}, "PSNR in dB"),
        (
            "VQGAN: codebook",
            vqgan,
            {"codes_used": "codes used", "perplexity": "perplexity"},
            "codes, per epoch",
        ),
        ("BART: loss", bart, {"nats": "train, batch", "dev_nats": "dev"}, "nats per image token"),
        ("Speed", bart, {"pictures_per_second": "BART"}, "pictures per second"),
    ]
    return [{"title": title, "svg": Markup(plot_metrics(rows, names, label))} for title, rows, names, label in plots]


def _parameters(pipeline: TextToImage) -> dict[str, int]:
    models = {"VQGAN": pipeline.vqgan, "BART": pipeline.bart}
    return {name: sum(weight.numel() for weight in model.parameters()) for name, model in models.items()}
