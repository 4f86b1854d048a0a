"""A small CLIP: pictures and captions as points of one space, to choose among drawings and to measure them."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.clip.config import ClipConfig
    from minidalle.clip.contrast import clip_loss, found_among, rerank
    from minidalle.clip.judge import Judge, draw_best, load_judge
    from minidalle.clip.model import Clip

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Clip": "model",
        "ClipConfig": "config",
        "Judge": "judge",
        "clip_loss": "contrast",
        "draw_best": "judge",
        "found_among": "contrast",
        "load_judge": "judge",
        "rerank": "contrast",
    },
)
