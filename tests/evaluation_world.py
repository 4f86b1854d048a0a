"""A small made-up data set with roles, styles, tones and genders, and an untrained pipeline for it."""

from itertools import product

import numpy as np
import torch

from minidalle.bart import Bart
from minidalle.data.pictures import CaptionedPictures
from minidalle.pipeline import TextToImage
from minidalle.presets import TINY
from minidalle.tokenization import Tokenizer
from minidalle.vqgan import VQGAN

SIDE = 16
STYLES, TONES, GENDERS = ("noto", "fluent"), ("", "light", "dark"), ("man", "woman")
ROLES = ("cook", "judge", "pilot", "singer", "star", "apple", "pear", "grinning face")
PEOPLE = ROLES[:4]


def make_pictures(columns: bool = True) -> CaptionedPictures:
    """Every picture is its role's noise, with a little noise of its style, tone and gender added."""
    rows = [(role, style, tone, gender) for role, style, tone, gender in product(PEOPLE, STYLES, TONES, GENDERS)]
    rows += [(role, style, "", "") for role, style in product(ROLES[4:], STYLES)]
    chance = np.random.default_rng(0)
    noise = {name: chance.normal(size=(SIDE, SIDE, 3)) for name in (*ROLES, *STYLES, *TONES, *GENDERS)}
    loud = {**dict.fromkeys(noise, 8.0), **dict.fromkeys(ROLES, 40.0), "": 0.0}
    pictures = [np.clip(128 + sum(loud[name] * noise[name] for name in row), 0, 255) for row in rows]
    splits = np.array(["train"] * len(rows))
    splits[[1, 9, 17, 30, len(rows) - 1]] = "cell"
    splits[[2, 22, len(rows) - 4]] = "dev"
    names = dict(zip(("role", "style", "tone", "gender"), map(np.array, zip(*rows, strict=True)), strict=True))
    captions = [" ".join(filter(None, (role, gender, tone, f"{style} style"))) for role, style, tone, gender in rows]
    return CaptionedPictures(captions, np.stack(pictures).round().astype(np.uint8), splits, names if columns else {})


def make_pipeline() -> TextToImage:
    """Untrained, with weights large enough for the caption to matter."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(make_pictures().captions * 3, TINY.tokenizer)
    vqgan, bart = VQGAN(TINY.vqgan), Bart(TINY.bart)
    with torch.no_grad():
        for parameter in bart.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        vqgan.quantize.codebook.mul_(100)
    return TextToImage(tokenizer, vqgan, bart)
