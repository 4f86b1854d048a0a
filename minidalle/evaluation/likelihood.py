"""How surprised a BART is by real pictures, in nats: per token, and per picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minidalle.data.tokens import TokenizedPictures, tokenize
from minidalle.evaluation.fidelity import Measures
from minidalle.pipeline import TextToImage
from minidalle.training.bart import row_nats


def picture_nats(pipeline: TextToImage, captions: Sequence[str], real: np.ndarray) -> dict[str, Measures]:
    """The negative log-likelihood of pictures, given their captions and by two ways of knowing less.

    Args:
        pipeline: whose BART is asked about the tokens that its VQGAN gives.
        captions: B of them.
        real: uint8 [B, S, S, 3].

    Returns:
        `with its caption`, `with no caption` and `all codes alike` → `nats_per_token` and `nats_per_picture`.
        Nats per picture can be compared between grids of any size; neither can between VQGANs, whose codes
        say more or less of the picture: read it beside their PSNR.
    """
    tokens = tokenize(captions, real, pipeline.tokenizer.encode_batch, pipeline.vqgan.encode, pipeline.device)
    empty, mask = pipeline.tokenizer.encode_batch([""])
    blind = replace(tokens, text=empty.expand_as(tokens.text), text_mask=mask.expand_as(tokens.text_mask))
    length = tokens.image.shape[1]
    guess = np.full(len(real), length * np.log(pipeline.vqgan.config.codes))
    return {
        "with its caption": _both(_nats(pipeline, tokens), length),
        "with no caption": _both(_nats(pipeline, blind), length),
        "all codes alike": _both(guess, length),
    }


def _nats(pipeline: TextToImage, tokens: TokenizedPictures) -> np.ndarray:
    return row_nats(pipeline.bart, tokens, np.arange(len(tokens.image))).double().numpy()


def _both(nats: np.ndarray, length: int) -> Measures:
    return {"nats_per_token": nats / length, "nats_per_picture": nats}
