"""Draw the pictures of the README with the shipped weights: python benchmarks/gallery.py [--run FOLDER] [--out FOLDER]

Nothing is picked by looking: the captions of the gallery were drawn by lot and committed before the training, the
names and prompts of the other two pages are drawn by lot here, and every picture is that of seed 0.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from minidalle.checkpoint import atomic_write
from minidalle.data import CaptionedPictures, emoji_pictures
from minidalle.data.sources import SOURCES
from minidalle.evaluation import load_prompts
from minidalle.evaluation.drawing import Draw, draw_many
from minidalle.evaluation.free_text import PROMPTS, concept_recall
from minidalle.evaluation.sheets import page
from minidalle.pipeline import SHIPPED, load
from minidalle.reports.page import png
from minidalle.runtime import numpy_generator

GALLERY = PROMPTS.with_name("gallery.csv")
STYLES = [source.style for source in SOURCES]
NAMES = 8  # on the strip of styles
PROMPTS_SHOWN = 20


def gallery(draw: Draw, pictures: CaptionedPictures) -> np.ndarray:
    """The twenty held-out rows: real above drawn."""
    with open(GALLERY, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    row_of = {key: row for row, key in enumerate(pictures.columns["key"].tolist())}
    real = pictures.pictures[[row_of[row["key"]] for row in rows]]
    drawn = draw_many(draw, [row["caption"] for row in rows], [0] * len(rows))
    return page([real, drawn], ["real", "drawn"], [f"{row['split']}: {row['caption']}" for row in rows])


def styles(draw: Draw, pictures: CaptionedPictures) -> np.ndarray:
    """Some names of `iid`, each drawn in all four styles: the one that was held out, and three that were not."""
    rows = pictures.rows("iid")
    names = list(dict.fromkeys(pictures.columns["name"][rows[numpy_generator(0, "styles").permutation(len(rows))]]))
    names = [str(name) for name in names[:NAMES]]
    strips = [draw_many(draw, [f"{name}, {style} style" for name in names], [0] * NAMES) for style in STYLES]
    return page(strips, [f"drawn, {style}" for style in STYLES], names)


def prompts(draw: Draw, pictures: CaptionedPictures) -> np.ndarray:
    """Some of the free prompts, with what the picture was taken for."""
    chosen = load_prompts()
    chosen = [chosen[i] for i in numpy_generator(0, "prompts").permutation(len(chosen))[:PROMPTS_SHOWN]]
    drawn = draw_many(draw, [prompt.prompt for prompt in chosen], [0] * len(chosen))
    right = concept_recall(drawn, chosen, pictures)["top_5"]
    labels = [f"{'right' if hit else 'wrong'}: {prompt.prompt}" for hit, prompt in zip(right, chosen, strict=True)]
    return page([drawn], ["drawn"], labels)


def main() -> None:
    """Write the three pages."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the README.")
    parser.add_argument("--run", type=Path, default=SHIPPED)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    pipeline = load(options.run)
    pictures = emoji_pictures(pipeline.vqgan.config.image_size)
    draw = pipeline.draw
    for make in (gallery, styles, prompts):
        atomic_write(options.out / f"{make.__name__}.png", png(make(draw, pictures)))


if __name__ == "__main__":
    main()
