"""The VQGAN on a GPU: the CPU's latents, tokens and pictures, in float32 without TF32."""

import pytest
import torch

from minidalle.pipeline import SHIPPED, load
from minidalle.vqgan import VQGAN
from minidalle.vqgan.clustering import kmeans
from minidalle.vqgan.quantizer import code_statistics, nearest_code

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def both() -> tuple[VQGAN, VQGAN]:
    """The shipped VQGAN, here and there."""
    return load(SHIPPED).vqgan, load(SHIPPED, "cuda").vqgan


def blots(count: int = 32) -> torch.Tensor:
    """Pictures of soft colored blots, float [B, 3, 32, 32]."""
    chance = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=chance)
    return torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")


@torch.no_grad()
def test_pictures_to_tokens(cuda: torch.device, both: tuple[VQGAN, VQGAN]) -> None:
    here, there = both
    latents = here.latents(blots())
    torch.testing.assert_close(there.latents(blots().to(cuda)).cpu(), latents, rtol=1e-4, atol=1e-4)
    tokens, others = here.encode(blots()), there.encode(blots().to(cuda)).cpu()
    assert (tokens == others).float().mean() > 0.998  # a latent in the middle of two codes may take either


@torch.no_grad()
def test_tokens_to_pictures(cuda: torch.device, both: tuple[VQGAN, VQGAN]) -> None:
    here, there = both
    tokens = here.encode(blots())
    torch.testing.assert_close(there.decode(tokens.to(cuda)).cpu(), here.decode(tokens), rtol=0, atol=1e-4)


def test_the_nearest_code(cuda: torch.device) -> None:
    chance = torch.Generator().manual_seed(1)
    latents, codebook = torch.randn(4000, 32, generator=chance), torch.randn(512, 32, generator=chance)
    near = torch.cdist(latents.double(), codebook.double()).topk(2, largest=False).values.square()
    clear = near[:, 1] - near[:, 0] > 1e-3
    tokens = nearest_code(latents.to(cuda), codebook.to(cuda)).cpu()
    assert clear.float().mean() > 0.99
    assert torch.equal(tokens[clear], nearest_code(latents, codebook)[clear])


def test_what_a_codebook_follows(cuda: torch.device) -> None:
    chance = torch.Generator().manual_seed(2)
    points, tokens = torch.randn(3000, 8, generator=chance), torch.randint(64, (3000,), generator=chance)
    for here, there in zip(
        code_statistics(points, tokens, 64), code_statistics(points.to(cuda), tokens.to(cuda), 64), strict=True
    ):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=1e-4)
    centers = kmeans(points, points[:64], 2)
    torch.testing.assert_close(kmeans(points.to(cuda), points[:64].to(cuda), 2).cpu(), centers, rtol=1e-3, atol=1e-3)


def test_the_trained_picture_is_the_same(cuda: torch.device, both: tuple[VQGAN, VQGAN]) -> None:
    """Gradients of a loss with respect to every weight, which convolutions compute backwards."""
    gradients = []
    for model, device in zip(both, ("cpu", "cuda"), strict=True):
        pictures = blots(8).to(device)
        loss = (model(pictures, False).pictures - pictures).square().mean()
        found = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
        gradients.append(torch.cat([part.flatten() for part in found]).cpu().double())
    here, there = gradients
    assert (there - here).norm() < 1e-4 * here.norm()
