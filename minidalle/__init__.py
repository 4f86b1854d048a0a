"""minidalle: DALL·E mini, small enough to read in an evening and to train while you have lunch.

A caption becomes text tokens (`tokenization`), a BART turns them into image tokens (`bart`, `sampling`), and a
VQGAN turns those into a picture (`vqgan`). `pipeline` is that sentence as code; `training` and `data` are how the
parts come to know what they know.

Shapes, everywhere in the package:

    B  pictures in a batch          T  text tokens of a caption       h  attention heads
    N  image tokens of a picture    K  codes in the codebook          D  width of a vector
    H, W (or S, if square)  sides of a picture in pixels              V  rows of an output head
"""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

__version__ = "0.1.0"

if TYPE_CHECKING:
    from minidalle.bart.config import BartConfig as BartConfig
    from minidalle.bart.model import Bart as Bart
    from minidalle.checkpoint import CheckpointError as CheckpointError
    from minidalle.errors import InvalidValue as InvalidValue
    from minidalle.pipeline import TextToImage as TextToImage
    from minidalle.pipeline import load as load
    from minidalle.presets import PRESETS as PRESETS
    from minidalle.sampling_config import SamplingConfig as SamplingConfig
    from minidalle.tokenization.tokenizer import Tokenizer as Tokenizer
    from minidalle.vqgan.autoencoder import VQGAN as VQGAN
    from minidalle.vqgan.config import VQGANConfig as VQGANConfig
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "Bart": "bart.model",
            "BartConfig": "bart.config",
            "CheckpointError": "checkpoint",
            "InvalidValue": "errors",
            "PRESETS": "presets",
            "SamplingConfig": "sampling_config",
            "TextToImage": "pipeline",
            "Tokenizer": "tokenization.tokenizer",
            "VQGAN": "vqgan.autoencoder",
            "VQGANConfig": "vqgan.config",
            "load": "pipeline",
        },
    )
