"""Blocks against torch's own layers, one operation at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.runtime import weights_of
from minidalle.vqgan import blocks
from minidalle.vqgan.blocks import (
    AttentionBlock,
    Downsample,
    ResidualBlock,
    Upsample,
    attention_block,
    residual_block,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module) -> nn.Module:
    """The module with every weight moved, so that scales of one and biases of zero hide nothing."""
    for i, parameter in enumerate(module.parameters()):
        parameter.data += 0.2 * normal(*parameter.shape, seed=i)
    return module


def test_residual_block_equals_torch_layers() -> None:
    for inputs, outputs, groups in ((8, 8, 4), (8, 12, 2), (8, 12, 0)):
        block = shaken(ResidualBlock(inputs, outputs, groups))
        x = normal(2, inputs, 6, 6)
        kept = x.clone()
        first = block.conv1(F.silu(block.norm1(x) if groups else x))
        second = block.conv2(F.silu(block.norm2(first) if groups else first))
        expected = second + (block.nin_shortcut(x) if inputs != outputs else x)
        torch.testing.assert_close(residual_block(weights_of(block), x, groups), expected)
        torch.testing.assert_close(block(x), expected)
        assert torch.equal(x, kept)


def test_attention_block_equals_torch_attention() -> None:
    block, x = shaken(AttentionBlock(8, 4)), normal(2, 8, 5, 5)
    query, key, value = (layer(block.norm(x)).flatten(2).mT for layer in (block.q, block.k, block.v))
    seen = F.scaled_dot_product_attention(query, key, value).mT.reshape(x.shape)
    torch.testing.assert_close(attention_block(weights_of(block), x, 4), x + block.proj_out(seen))
    torch.testing.assert_close(block(x), x + block.proj_out(seen))


def test_downsampling_pads_right_and_bottom() -> None:
    block, x = Downsample(3), normal(1, 3, 8, 8)
    padded = torch.zeros(1, 3, 9, 9)
    padded[:, :, :8, :8] = x
    torch.testing.assert_close(block(x), F.conv2d(padded, block.conv.weight, block.conv.bias, stride=2))
    torch.testing.assert_close(block(x), block.conv(padded))  # what it prints is what it does


def test_upsampling_repeats_cells() -> None:
    block, x = Upsample(3), normal(1, 3, 4, 4)
    torch.testing.assert_close(block(x), block.conv(x.repeat_interleave(2, 2).repeat_interleave(2, 3)))


def test_modules_call_the_function_of_the_module_global(monkeypatch) -> None:
    monkeypatch.setattr(blocks, "residual_block", lambda weights, x, groups: x + len(weights))
    assert torch.equal(ResidualBlock(4, 4, 2)(torch.zeros(1, 4, 2, 2)), torch.full((1, 4, 2, 2), 4.0))
