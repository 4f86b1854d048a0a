"""A small CLIP: pictures and captions as points of one space, to choose among drawings and to measure them."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.clip.config import ClipConfig as ClipConfig
    from minidalle.clip.contrast import clip_loss as clip_loss
    from minidalle.clip.contrast import found_among as found_among
    from minidalle.clip.contrast import rerank as rerank
    from minidalle.clip.judge import Judge as Judge
    from minidalle.clip.judge import draw_best as draw_best
    from minidalle.clip.judge import load_judge as load_judge
    from minidalle.clip.model import Clip as Clip
else:
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
