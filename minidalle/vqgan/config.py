"""The shape of a VQGAN: the published f16-16384 and a small fast one are two values of the same config."""

from dataclasses import dataclass
from math import isfinite

from minidalle.errors import require, require_kinds, tuple_of

_TUPLES = ("multipliers", "encoder_blocks", "decoder_blocks", "attention_sizes", "pixel_range")


@dataclass(frozen=True)
class VQGANConfig:
    """Every size of a VQGAN. The defaults are the published f16-16384 (Esser et al. 2021, ImageNet).

    Level 0 is the finest. Each level halves the side of the one before it, so L levels and a patch p turn a
    picture of side S into a grid of side S / (p · 2^(L−1)).

    image_size: the picture's side in pixels.
    patch: pixels are first folded into p × p patches (pixel-unshuffle); 1 folds nothing.
    channels, multipliers: level l is `channels * multipliers[l]` wide.
    encoder_blocks, decoder_blocks: residual blocks on each level.
    attention_sizes: levels with a grid of one of these sides have attention after each residual block.
    middle: whether a block, attention and a block stand between the coarsest level and the codes.
    groups: groups of the group normalizations; 0 leaves them out.
    refinement: channels of a last layer at full resolution, after the patches are unfolded; 0 has none.
    latent_width, code_width, codes: width of the encoder's output; width and number of the codes.
    l2_normalize: latents and codes have length 1, so that the nearest code is the one with the closest angle.
    commitment: β, how strongly the encoder is pulled towards its codes.
    ema_decay: the codebook is a running mean of the latents with this decay; 0 learns it by gradient.
    restart_below: an EMA code used less than this share of its fair share is restarted; 0 restarts none.
    pixel_range: what pixels in [0, 1] become inside the model.
    decoder_only: whether it can only paint: without the encoder, as some publish it.
    """

    image_size: int = 256
    patch: int = 1
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    encoder_blocks: tuple[int, ...] = (2, 2, 2, 2, 2)
    decoder_blocks: tuple[int, ...] = (3, 3, 3, 3, 3)
    attention_sizes: tuple[int, ...] = (16,)
    middle: bool = True
    groups: int = 32
    refinement: int = 0
    latent_width: int = 256
    code_width: int = 256
    codes: int = 16384
    l2_normalize: bool = False
    commitment: float = 0.25
    ema_decay: float = 0.0
    restart_below: float = 0.0
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    decoder_only: bool = False

    def __post_init__(self) -> None:
        for name in _TUPLES:
            object.__setattr__(self, name, tuple_of(getattr(self, name)))
        require_kinds(self)
        self._check_sizes()
        self._check_widths()
        self._check_codebook()

    def _check_sizes(self) -> None:
        for name in ("image_size", "patch", "channels", "latent_width", "code_width"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(len(self.multipliers) >= 1, "multipliers", self.multipliers, "one for each level")
        require(min(self.multipliers) >= 1, "multipliers", self.multipliers, "each at least 1")
        for name in ("encoder_blocks", "decoder_blocks"):
            blocks = getattr(self, name)
            ok = len(blocks) == len(self.multipliers) and min(blocks) >= 1
            require(ok, name, blocks, f"a number for each of {len(self.multipliers)} levels, at least 1")
        factor = self.factor
        require(self.image_size % factor == 0, "image_size", self.image_size, f"a multiple of {factor}")
        ok = all(size in self.sizes for size in self.attention_sizes)
        require(ok, "attention_sizes", self.attention_sizes, f"some of the levels' sides: {self.sizes}")

    def _check_widths(self) -> None:
        require(self.groups >= 0, "groups", self.groups, "at least 0 (0: no normalization)")
        ok = self.groups == 0 or all(width % self.groups == 0 for width in self.widths)
        require(ok, "groups", self.groups, f"0 or a divisor of every level's width: {self.widths}")
        require(self.refinement >= 0, "refinement", self.refinement, "at least 0 (0: none)")

    def _check_codebook(self) -> None:
        require(self.codes >= 2, "codes", self.codes, "at least 2")
        require(self.commitment >= 0, "commitment", self.commitment, "at least 0")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "in [0, 1); 0 learns by gradient")
        require(0 <= self.restart_below < 1, "restart_below", self.restart_below, "in [0, 1); 0 restarts none")
        ok = self.restart_below == 0 or self.ema_decay > 0
        require(ok, "restart_below", self.restart_below, "0 for a codebook without EMA (ema_decay=0)")
        span = self.pixel_range
        ok = len(span) == 2 and all(map(isfinite, span)) and span[0] < span[1]
        require(ok, "pixel_range", span, "a lower and a higher number")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Side of each level's grid, finest first."""
        return tuple(self.image_size // self.patch // 2**level for level in range(len(self.multipliers)))

    @property
    def factor(self) -> int:
        """How many pixels one token spans, per side (the f of f16)."""
        return self.patch * 2 ** (len(self.multipliers) - 1)

    @property
    def grid(self) -> int:
        """The side of the grid of tokens."""
        return self.image_size // self.factor

    @property
    def tokens(self) -> int:
        """Image tokens per picture (N)."""
        return self.grid**2


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The size of a PatchGAN. The defaults are the published one (Isola et al. 2017, 70 × 70 patches).

    width: channels of the first layer; each next one has twice as many, at most 8 times.
    layers: convolutions that halve the sides; a picture's side must be at least 3 · 2^layers.
    groups: groups of its group normalizations; 0 leaves them out.
    """

    width: int = 64
    layers: int = 3
    groups: int = 32

    def __post_init__(self) -> None:
        require_kinds(self)
        require(self.width >= 1, "width", self.width, "at least 1")
        require(self.layers >= 1, "layers", self.layers, "at least 1")
        require(self.groups >= 0, "groups", self.groups, "at least 0 (0: no normalization)")
        ok = self.groups == 0 or self.width * 2 % self.groups == 0
        require(ok, "groups", self.groups, f"0 or a divisor of twice the width={self.width}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each convolution but the last: one for each halving, and one more."""
        return tuple(self.width * min(2**layer, 8) for layer in range(self.layers + 1))
