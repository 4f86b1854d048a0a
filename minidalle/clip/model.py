"""The small CLIP: captions and pictures become vectors of length 1, near each other if they belong together."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.bart.attention import padding_mask
from minidalle.bart.draft import caption_vector
from minidalle.bart.layers import encoder_layer
from minidalle.bart.primitives import layer_norm, linear
from minidalle.bart.weights import encoder_weights
from minidalle.clip.config import ClipConfig
from minidalle.errors import require
from minidalle.runtime import weights_of
from minidalle.vqgan.autoencoder import Encoder, require_floats

FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0  # Radford et al. 2021, section 2.5


class Clip(nn.Module):
    """Two towers that meet (Radford et al. 2021): a BART's encoder for captions, a VQGAN's for pictures.

    A caption is the mean of its tokens' vectors; a picture is all cells of its coarsest grid side by side, so
    that left and right stay apart. Each is projected to the joint space and scaled to length 1.

    Args:
        config: the shape; see `ClipConfig`.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.text = encoder_weights(config.text)
        self.text_projection = nn.Linear(config.width, config.joint, bias=False)
        self.image = Encoder(config.image)
        self.image_projection = nn.Linear(config.features * config.image.tokens, config.joint, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def forward(self, text: Tensor, mask: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `clip_loss` wants: the vectors of pictures and of captions, each [B, E], and the scale."""
        return self.encode_image(pictures), self.encode_text(text, mask), self.scale()

    def encode_text(self, text: Tensor, mask: Tensor) -> Tensor:
        """Captions → vectors.

        Args:
            text: long [B, T]; T may be anything up to `text_length`.
            mask: bool [B, T], True = real token.

        Returns:
            float32 [B, E], of length 1.
        """
        length, longest = text.shape[1], self.config.text_length
        require(length <= longest, "text tokens", length, f"at most {longest}")
        weights, dropout = weights_of(self.text), self.config.dropout if self.training else 0.0
        x = F.embedding(text, weights["tokens"]["weight"]) + weights["positions"]["weight"][:length]
        for layer in weights["layers"].values():
            x = encoder_layer(layer, x, padding_mask(mask), self.config.heads, dropout)
        caption = caption_vector(layer_norm(weights["final_norm"], x), mask)
        return F.normalize(linear(weights_of(self.text_projection), caption).float(), dim=1)

    def encode_image(self, pictures: Tensor) -> Tensor:
        """Pictures, float [B, 3, S, S] in [0, 1] → vectors, float32 [B, E], of length 1.

        Raises:
            InvalidValue: the pictures have another size, or are no floats.
        """
        side, shape = self.config.image_size, tuple(pictures.shape)
        require(shape[1:] == (3, side, side), "pictures", shape, f"[B, 3, {side}, {side}]")
        require_floats(pictures)
        cells = self.image(2 * pictures - 1).flatten(1)
        return F.normalize(linear(weights_of(self.image_projection), cells).float(), dim=1)

    def scale(self) -> Tensor:
        """What cosines are multiplied by: learned, at most 100."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()
