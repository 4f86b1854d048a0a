"""The shape of a small CLIP: a BART's encoder that reads, a VQGAN's encoder that looks, and where they meet."""

from dataclasses import dataclass

from minidalle.bart.config import BartConfig
from minidalle.errors import require, require_kinds, tuple_of
from minidalle.vqgan.config import VQGANConfig


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Two towers with one roof (Radford et al. 2021, section 2.3), made of parts that are there already.

    Attributes:
        text_vocab: rows of the text embedding.
        text_length: most text tokens, T.
        image_size: the picture's side in pixels.
        width: D, the size of the vector that stands for one text token.
        heads: attention heads of the text tower.
        hidden: width inside its feed-forward layers.
        layers: its layers.
        channels: channels of the picture tower's first level.
        multipliers: level l has `channels * multipliers[l]` channels, and half the side of the one before.
        blocks: residual blocks on each level.
        patch: pixels are first folded into patches of this side.
        features: numbers that the picture tower says about each cell of its coarsest grid.
        joint: E, the size of the space where captions and pictures meet.
        dropout: chance of dropping a feature of the text tower's branches while training.
    """

    text_vocab: int
    text_length: int
    image_size: int
    width: int = 128
    heads: int = 4
    hidden: int = 256
    layers: int = 1
    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: tuple[int, ...] = (1, 1, 1)
    patch: int = 2
    features: int = 32
    joint: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("multipliers", "blocks"):
            object.__setattr__(self, name, tuple_of(getattr(self, name)))
        require_kinds(self)
        for name in ("layers", "features", "joint"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        levels = len(self.multipliers)
        ok = len(self.blocks) == levels and min(self.blocks, default=0) >= 1
        require(ok, "blocks", self.blocks, f"a number for each of {levels} levels, at least 1")
        _ = self.text, self.image  # which check the rest

    @property
    def text(self) -> BartConfig:
        """The BART whose encoder reads the captions; it has no use for its decoder."""
        return BartConfig(
            text_vocab=self.text_vocab, text_length=self.text_length, width=self.width, heads=self.heads,
            hidden=self.hidden, encoder_layers=self.layers, dropout=self.dropout,
            image_codes=1, image_length=1, decoder_layers=1,
        )  # fmt: skip

    @property
    def image(self) -> VQGANConfig:
        """The VQGAN whose encoder looks at the pictures; it has no use for its decoder."""
        return VQGANConfig(
            image_size=self.image_size, patch=self.patch, channels=self.channels, multipliers=self.multipliers,
            encoder_blocks=self.blocks, decoder_blocks=self.blocks, attention_sizes=(), middle=False, groups=0,
            latent_width=self.features,
        )  # fmt: skip
