"""The pieces together: a tiny VQGAN learns to draw squares it has not seen."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.vqgan import VQGAN, VQGANConfig
from minidalle.vqgan.losses import LossWeights, reconstruction_loss
from minidalle.vqgan.quantizer import code_statistics, codebook_usage

TINY = VQGANConfig(
    image_size=16,
    patch=2,
    channels=16,
    multipliers=(1, 2),
    encoder_blocks=(1, 1),
    decoder_blocks=(1, 1),
    attention_sizes=(),
    middle=False,
    groups=0,
    latent_width=8,
    code_width=8,
    codes=32,
    ema_decay=0.95,
    restart_below=0.05,
)


def squares(batch: int, generator: torch.Generator) -> Tensor:
    """A colored square somewhere on white; the colors are the corners of the color cube."""
    pictures = torch.ones(batch, 3, 16, 16)
    colors = torch.rand(batch, 3, 1, 1, generator=generator).round()
    corners = torch.randint(9, (batch, 2), generator=generator)
    for picture, color, (top, left) in zip(pictures, colors, corners, strict=True):
        picture[:, top : top + 8, left : left + 8] = color
    return pictures


def test_training_reaches_a_good_picture_with_a_used_codebook() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = VQGAN(TINY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99))
    held_out = squares(64, torch.Generator().manual_seed(1))
    for step in range(240):
        pictures = squares(16, generator)
        if step == 80:
            latents = model.latents(squares(128, generator)).flatten(0, 1).detach()
            model.quantize.initialize(latents, torch.randperm(len(latents), generator=generator))
        output = model(pictures, quantize=step >= 80)
        loss = reconstruction_loss(output.pictures, pictures, LossWeights()) + output.commitment
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= 80:
            found = output.latents.detach().flatten(0, 1)
            order = torch.randperm(len(found), generator=generator)
            model.quantize.update(*code_statistics(output.latents, output.tokens, 32), found, order)
    with torch.no_grad():
        tokens = model.encode(held_out)
        learnt = F.mse_loss(model.decode(tokens), held_out)
    assert learnt < 0.15 * held_out.var()
    assert codebook_usage(torch.bincount(tokens.flatten()))[0] >= 24
