"""Pages of pictures to look at: figures say how often, pictures say what goes wrong."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import sheet
from minidalle.evaluation.scoring import AGAIN, COPIED, DRAWN, REAL, Drawings, Evaluation

ROWS = (REAL, AGAIN, DRAWN, COPIED)
EXAMPLES = 20  # of each split: the first that were drawn by lot, nothing is picked by looking
WORST = 40
COLUMNS = 10
PROMPT_COLUMNS = 20
SIDE = 96  # of a picture on a sheet, in pixels
MARGIN = 150  # for the names of the rows


def sheets(evaluation: Evaluation, pictures: CaptionedPictures) -> dict[str, np.ndarray]:
    """A page for every split, one for the worst drawings of held-out rows, and one for the free prompts.

    On each, the real picture stands above its reconstruction, what was drawn, and the nearest training picture.

    Returns:
        Name → page, uint8 [H, W, 3].
    """
    splits = pictures.splits[evaluation.rows]
    chosen = {split: np.flatnonzero(splits == split)[:EXAMPLES] for split in dict.fromkeys(splits.tolist())}
    held_out = np.flatnonzero(splits != "train")
    chosen["worst"] = held_out[evaluation.psnr[held_out].argsort(kind="stable")[:WORST]]
    pages = {}
    for name, places in chosen.items():
        if len(places):
            rows = evaluation.rows[places]
            labels = [pictures.captions[row] for row in rows]
            if name == "worst":
                labels = [f"{splits[place]}: {label}" for place, label in zip(places, labels, strict=True)]
            pages[name] = page([evaluation.shown[source][places] for source in ROWS], ROWS, labels)
    if evaluation.drawings:
        pages["prompts"] = _prompt_page(evaluation.drawings)
    return pages


def _prompt_page(drawings: Drawings) -> np.ndarray:
    """Every prompt with what each seed gave, above the picture that its words find."""
    seeds = drawings.drawn.shape[1]
    right = drawings.top_5.sum(1).astype(int)
    labels = [f"{prompt.prompt} ({right[i]}/{seeds} right)" for i, prompt in enumerate(drawings.prompts)]
    strips = [*drawings.drawn.swapaxes(0, 1), drawings.found]
    names = [*(f"drawn, seed {seed}" for seed in range(seeds)), "caption retrieval"]
    return page(strips, names, labels, PROMPT_COLUMNS)


def page(
    strips: Sequence[np.ndarray], names: Sequence[str], labels: Sequence[str], columns: int = COLUMNS
) -> np.ndarray:
    """Lay out pictures in columns, with the name of every row at the left and a label under every column.

    Args:
        strips: k of them, uint8 [B, S, S, 3] each: the first, the second … picture of all columns.
        names: k names.
        labels: B labels.
        columns: how many side by side, at most.

    Returns:
        uint8 [H, W, 3].
    """
    count, side = strips[0].shape[:2]
    scale = max(1, SIDE // side)
    white = np.full((count, 1, side, 3), 255, np.uint8)
    stacks = np.concatenate([part for strip in strips for part in (strip, white)], 1)
    body = Image.fromarray(sheet(stacks, min(columns, count), scale, labels))
    canvas = Image.new("RGB", (body.width + MARGIN, body.height), "white")
    canvas.paste(body, (MARGIN, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    bands = -(-count // columns)
    for band in range(bands):
        top = 2 * scale + band * ((body.height - 2 * scale) // bands)
        for i, name in enumerate(names):
            draw.text((6, top + (i * (side + 1) + side / 2) * scale), name, "black", font, anchor="lm")
    return np.asarray(canvas)
