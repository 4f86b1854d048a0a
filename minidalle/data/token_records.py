"""A picture's tokens as a record: so many bytes, the same for every row, so that a row is one read."""

from dataclasses import dataclass

import numpy as np
import torch

from minidalle.data.tokens import COLOR, TokenizedPictures, mean_colors


@dataclass(frozen=True)
class TokenShape:
    """What a record has room for.

    text_length, text_vocab: T, and the number of ids that a text token can have.
    image_length, codes: N, and the number of codes that an image token can have.
    image_size: S, the side of the pictures in pixels.
    """

    text_length: int
    text_vocab: int
    image_length: int
    codes: int
    image_size: int

    @property
    def cell(self) -> int:
        """The pixels that one image token stands for."""
        return self.image_size**2 // self.image_length

    @property
    def dtype(self) -> np.dtype:
        """A record: text tokens [T], how many of them are real, image tokens [N], and the sums of the cells' colors
        [N, 3]; little-endian, without gaps. The sums are whole numbers, from which the means come out exactly.
        """
        return np.dtype(
            [
                ("text", unsigned(self.text_vocab - 1), (self.text_length,)),
                ("length", unsigned(self.text_length)),
                ("image", unsigned(self.codes - 1), (self.image_length,)),
                ("colors", unsigned(COLOR * self.cell), (self.image_length, 3)),
            ]
        )


def unsigned(most: int) -> str:
    """The smallest kind of number, of two bytes or four, that holds `most`."""
    return "<u2" if most < 2**16 else "<u4"


def unpack(shape: TokenShape, records: np.ndarray) -> TokenizedPictures:
    """Records as training wants them."""
    real = np.arange(shape.text_length) < records["length"][:, None]
    text, image = (torch.from_numpy(records[name].astype(np.int64)) for name in ("text", "image"))
    return TokenizedPictures(text, torch.from_numpy(real), image, mean_colors(records["colors"], shape.cell))
