"""Published weights: DALL·E mini and mega, the VQGAN that they paint with, and classic BARTs."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.published.importing import import_weights as import_weights
    from minidalle.published.reranker import ClipJudge as ClipJudge
    from minidalle.published.reranker import load_clip as load_clip
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__, {"ClipJudge": "reranker", "import_weights": "importing", "load_clip": "reranker"}
    )
