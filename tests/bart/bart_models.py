"""Small models of every kind, with weights far from zero and from one, so that no part can hide."""

import torch

from minidalle.bart import Bart, BartConfig

SIZES = {
    "text_vocab": 37,
    "text_length": 9,
    "image_codes": 16,
    "image_length": 16,
    "width": 24,
    "heads": 3,
    "hidden": 40,
    "encoder_layers": 2,
    "decoder_layers": 3,
}
CLASSIC = {
    "image_codes": 37,
    "image_extra": 0,
    "start": 2,
    "norm": "post",
    "embedding_norm": True,
    "bias": True,
    "tied": True,
    "positions": "absolute",
    "position_offset": 2,
}
PUBLISHED = {
    "norm": "normformer",
    "embedding_norm": True,
    "scale_before_linear": False,
    "glu": True,
    "positions": "absolute",
}
KINDS = {
    "small": {},
    "small with draft": {"draft_width": 5},
    "classic": CLASSIC,
    "classic scaled": {**CLASSIC, "scale_embedding": True},
    "published": PUBLISHED,
}


def shake(model: torch.nn.Module, seed: int = 0) -> None:
    """Move every weight away from its initial value, biases and scales included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(0.15 * noise if weight.dim() == 2 else weight + 0.3 * noise)


def make_bart(**changes: object) -> Bart:
    model = Bart(BartConfig(**{**SIZES, **changes})).eval()
    shake(model)
    return model
