"""The VQGAN: a picture becomes a grid of tokens, and a grid of tokens becomes a picture."""

from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.errors import InvalidValue, require
from minidalle.runtime import weights_of
from minidalle.vqgan.blocks import AttentionBlock, Downsample, ResidualBlock, Upsample, conv, norm, normalize
from minidalle.vqgan.config import VQGANConfig
from minidalle.vqgan.quantizer import VectorQuantizer, quantizer_loss, straight_through


class VQGANOutput(NamedTuple):
    """What one pass through the whole VQGAN gives.

    pictures: [B, 3, H, W], reconstructed, about [0, 1] but not clamped to it: the loss wants the true error.
    latents: [B, N, D] float32, what the encoder said, ready to be compared with codes.
    quantized: [B, N, D] float32, the nearest codes.
    tokens: long [B, N], their indices.
    commitment: a scalar, `quantizer_loss`; 0 in a pass that does not quantize.
    """

    pictures: Tensor
    latents: Tensor
    quantized: Tensor
    tokens: Tensor
    commitment: Tensor


class Level(nn.Module):
    """Residual blocks at one resolution, each followed by attention if the level has it."""

    def __init__(self, config: VQGANConfig, level: int, inputs: int, blocks: int) -> None:
        super().__init__()
        width = config.widths[level]
        attends = config.sizes[level] in config.attention_sizes
        chain = pairwise([inputs] + [width] * blocks)
        self.block = nn.ModuleList(ResidualBlock(*widths, config.groups) for widths in chain)
        self.attn = nn.ModuleList(AttentionBlock(width, config.groups) for _ in range(blocks * attends))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            x = self.attn[i](x) if self.attn else x
        return x


class DownLevel(Level):
    """A level of the encoder: blocks, then half the sides (unless it is the coarsest)."""

    def __init__(self, config: VQGANConfig, level: int) -> None:
        inputs = config.widths[level - 1] if level else config.channels
        super().__init__(config, level, inputs, config.encoder_blocks[level])
        coarsest = level == len(config.widths) - 1
        self.downsample = None if coarsest else Downsample(config.widths[level])

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.downsample is None else self.downsample(x)


class UpLevel(Level):
    """A level of the decoder: blocks, then twice the sides (unless it is the finest)."""

    def __init__(self, config: VQGANConfig, level: int) -> None:
        inputs = config.widths[min(level + 1, len(config.widths) - 1)]
        super().__init__(config, level, inputs, config.decoder_blocks[level])
        self.upsample = Upsample(config.widths[level]) if level else None

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.upsample is None else self.upsample(x)


class Middle(nn.Module):
    """A residual block, attention and a residual block on the coarsest grid."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width, groups)
        self.attn_1 = AttentionBlock(width, groups)
        self.block_2 = ResidualBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """Pictures [B, 3, H, W] in the model's pixel range → latents [B, latent_width, grid, grid]."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        coarsest = config.widths[-1]
        self.conv_in = conv(3 * config.patch**2, config.channels)
        self.down = nn.ModuleList(DownLevel(config, level) for level in range(len(config.widths)))
        self.mid = Middle(coarsest, config.groups) if config.middle else None
        self.norm_out = norm(coarsest, config.groups)
        self.conv_out = conv(coarsest, config.latent_width)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.conv_in(F.pixel_unshuffle(pictures, self.config.patch))
        for level in self.down:
            x = level(x)
        x = x if self.mid is None else self.mid(x)
        return self.conv_out(F.silu(normalize(weights_of(self), "norm_out", x, self.config.groups)))


class Decoder(nn.Module):
    """Latents [B, latent_width, grid, grid] → pictures [B, 3, H, W] in the model's pixel range."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        coarsest, finest = config.widths[-1], config.widths[0]
        self.conv_in = conv(config.latent_width, coarsest)
        self.mid = Middle(coarsest, config.groups) if config.middle else None
        self.up = nn.ModuleList(UpLevel(config, level) for level in range(len(config.widths)))
        self.norm_out = norm(finest, config.groups)
        self.conv_out = conv(finest, (config.refinement or 3) * config.patch**2)
        self.refine = conv(config.refinement, 3) if config.refinement else None

    @property
    def last(self) -> nn.Conv2d:
        """What the pictures come out of."""
        return self.refine or self.conv_out

    def forward(self, latents: Tensor) -> Tensor:
        x = self.conv_in(latents)
        x = x if self.mid is None else self.mid(x)
        for level in reversed(self.up):
            x = level(x)
        x = self.conv_out(F.silu(normalize(weights_of(self), "norm_out", x, self.config.groups)))
        x = F.pixel_shuffle(x, self.config.patch)
        return x if self.refine is None else self.refine(F.silu(x))


def require_floats(pictures: Tensor) -> None:
    """Raise `InvalidValue` for pictures of whole numbers: 255 would be taken for a white 255 times too bright."""
    expected = "floats in [0, 1], as `minidalle.data.pixels.to_floats` makes"
    require(pictures.is_floating_point(), "pictures", pictures.dtype, expected)


class VQGAN(nn.Module):
    """Pictures ↔ image tokens (Esser et al. 2021, "Taming Transformers for High-Resolution Image Synthesis").

    Pictures are float [B, 3, S, S] in [0, 1] outside and in `config.pixel_range` inside; tokens are long
    [B, N], row by row. The parameters carry the names of the published tree, as in
    `encoder.down.0.block.1.conv1.weight`; only its `quantize.embedding.weight` is `quantize.codebook` here.
    """

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = None if config.decoder_only else Encoder(config)
        self.quant_conv = None if config.decoder_only else conv(config.latent_width, config.code_width, 1)
        self.quantize = VectorQuantizer(config)
        self.post_quant_conv = conv(config.code_width, config.latent_width, 1)
        self.decoder = Decoder(config)

    @property
    def last_layer(self) -> Tensor:
        """The decoder's last weight, where `adaptive_weight` compares gradients."""
        return self.decoder.last.weight

    def latents(self, pictures: Tensor) -> Tensor:
        """Latents float32 [B, N, D], ready to be compared with codes, of pictures [B, 3, S, S] in [0, 1]."""
        side = self.config.image_size
        shape = tuple(pictures.shape)
        require(shape[1:] == (3, side, side), "pictures", shape, f"[B, 3, {side}, {side}]")
        require_floats(pictures)
        if self.encoder is None or self.quant_conv is None:
            raise InvalidValue("decoder_only=True: expected a VQGAN with an encoder, to turn pictures into tokens")
        low, high = self.config.pixel_range
        latents = self.quant_conv(self.encoder(low + (high - low) * pictures))
        return self.quantize.prepare(latents.flatten(2).transpose(1, 2))

    def pictures(self, codes: Tensor) -> Tensor:
        """Pictures float32 [B, 3, S, S], about [0, 1] but not clamped, of codes or latents [B, N, D]."""
        grid = codes.transpose(1, 2).unflatten(2, (self.config.grid, self.config.grid))
        low, high = self.config.pixel_range
        return (self.decoder(self.post_quant_conv(grid)).float() - low) / (high - low)

    def encode(self, pictures: Tensor) -> Tensor:
        """Image tokens, long [B, N], of pictures [B, 3, S, S] in [0, 1].

        Raises:
            InvalidValue: the pictures have another size or are no floats, or the VQGAN has no encoder.
        """
        return self.quantize(self.latents(pictures))[0]

    def decode(self, tokens: Tensor) -> Tensor:
        """Pictures [B, 3, S, S], clamped to [0, 1], of image tokens, long [B, N].

        Raises:
            InvalidValue: another number of tokens than N, or a token that is no code.
        """
        count, codes = self.config.tokens, self.config.codes
        require(tokens.shape[1:] == (count,), "tokens", tuple(tokens.shape), f"[B, {count}]")
        span = (int(tokens.min()), int(tokens.max())) if len(tokens) else (0, 0)
        require(span[0] >= 0 and span[1] < codes, "tokens", f"{span[0]} … {span[1]}", f"0 … {codes - 1}")
        return self.pictures(F.embedding(tokens, self.quantize.codes())).clamp(0, 1)

    def forward(self, pictures: Tensor, quantize: bool = True) -> VQGANOutput:
        """Encode, quantize and decode, with gradients to everything.

        Args:
            pictures: [B, 3, S, S] in [0, 1].
            quantize: False decodes the latents themselves. The first steps of a training do that, so that
                k-means finds latents worth a codebook.
        """
        latents = self.latents(pictures)
        tokens, quantized = self.quantize(latents)
        if not quantize:
            return VQGANOutput(self.pictures(latents), latents, quantized, tokens, latents.new_zeros(()))
        commitment = quantizer_loss(latents, quantized, self.config.commitment)
        decoded = self.pictures(straight_through(latents, quantized))
        return VQGANOutput(decoded, latents, quantized, tokens, commitment)
