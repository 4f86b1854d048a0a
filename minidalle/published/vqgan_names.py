"""Where the three published forms of the VQGAN keep what ours needs, and how large it is.

Flax writes `down_0/block_1` for `down.0.block.1`, and a convolution's kernel as [height, width, inputs, outputs].
taming's checkpoint has our names; with them lie the weights of its losses, which only training needs. The torch
re-publication has no encoder: it can only paint.
"""

import re
from collections.abc import Iterable
from itertools import count

from minidalle.checkpoint import CheckpointError
from minidalle.published.stored import Layout, Leaf, Stored, Tree, is_there, shape_of
from minidalle.vqgan import VQGANConfig

CODEBOOK = "quantize.codebook"
GROUPS = 32  # of all published group normalizations; no tensor tells
PARTS = ("conv1.weight", "conv2.weight", "norm1.weight", "norm2.weight")
SIDE = 256  # pixels of a published picture's side, where no config says another


def flax_layout(name: str) -> Leaf:
    """`encoder.down.0.block.1.conv1.weight` → `encoder/down_0/block_1/conv1/kernel`."""
    if name == CODEBOOK:
        return Leaf("quantize/embedding/embedding")
    *modules, part, kind = re.sub(r"\.(\d+)", r"_\1", name).split(".")
    path = "/".join([*modules, part])
    if kind == "bias":
        return Leaf(f"{path}/bias")
    return Leaf(f"{path}/scale") if part.startswith("norm") else Leaf(f"{path}/kernel", axes=(3, 2, 0, 1))


def taming_layout(name: str) -> Leaf:
    """taming's names are ours, but for the codebook's."""
    return Leaf("quantize.embedding.weight" if name == CODEBOOK else name)


def detoker_layout(name: str) -> Leaf:
    """The torch re-publication's names are ours, but for the codebook's."""
    return Leaf("embedding.weight" if name == CODEBOOK else name)


def without_losses(tree: Tree) -> dict[str, Stored]:
    """A training checkpoint's tensors without those of its discriminator and perceptual loss."""
    return {name: stored for name, stored in tree.items() if not name.startswith("loss.")}


def vqgan_config(tree: Tree, layout: Layout, side: int, pixel_range: tuple[float, float]) -> VQGANConfig:
    """The config of a published VQGAN, read from the shapes of its tensors.

    Args:
        tree: what its file holds.
        layout: the file's naming scheme.
        side: of its pictures, in pixels; no tensor tells.
        pixel_range: what pixels in [0, 1] become inside; no tensor tells.

    Raises:
        CheckpointError: a tensor that tells a size is missing.
    """

    def there(name: str) -> bool:
        return is_there(tree, layout(name))

    def blocks(level: str) -> int:  # by any of a block's tensors, so that another one can be told to be missing
        return next(n for n in count() if not any(there(f"{level}.block.{n}.{part}") for part in PARTS))

    def outputs(name: str) -> int:
        return shape_of(tree, layout(name), axes=4)[0]

    codes, width = shape_of(tree, layout(CODEBOOK), axes=2)
    encodes = there("encoder.conv_in.weight")
    levels = range(next(level for level in count() if not blocks(f"decoder.up.{level}")))
    if not levels:
        raise CheckpointError(f"missing: {layout('decoder.up.0.block.0.conv1.weight').name}")
    widths = [outputs(f"decoder.up.{level}.block.0.conv2.weight") for level in levels]
    channels = outputs("encoder.conv_in.weight") if encodes else widths[0]
    up = tuple(blocks(f"decoder.up.{level}") for level in levels)
    down = tuple(max(blocks(f"encoder.down.{level}"), 1) for level in levels)
    attends = [side // 2**level for level in levels if there(f"decoder.up.{level}.attn.0.q.weight")]
    return VQGANConfig(
        image_size=side, channels=channels, multipliers=_multiples(widths, channels), decoder_blocks=up,
        encoder_blocks=down,
        attention_sizes=tuple(attends), middle=there("decoder.mid.block_1.conv1.weight"), groups=GROUPS,
        latent_width=outputs("post_quant_conv.weight"), code_width=width, codes=codes, pixel_range=pixel_range,
        decoder_only=not encodes,
    )  # fmt: skip


def _multiples(widths: Iterable[int], channels: int) -> tuple[int, ...]:
    odd = [width for width in widths if not channels or width % channels]
    if odd:
        raise CheckpointError(f"a level has {odd[0]} channels: expected a multiple of the first layer's {channels}")
    return tuple(width // channels for width in widths)
