"""Losses and measures against closed forms and scipy."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from minidalle.vqgan.losses import (
    LossWeights,
    adaptive_weight,
    generator_loss,
    gradient_loss,
    hinge_loss,
    psnr,
    reconstruction_loss,
)
from minidalle.vqgan.similarity import ssim


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_psnr_closed_forms() -> None:
    targets = torch.full((4, 3, 8, 8), 0.5)
    pictures = targets + torch.tensor([0.0, 0.1, 0.01, -0.5]).reshape(4, 1, 1, 1)
    expected = torch.tensor([torch.inf, 20.0, 40.0, 20 * float(np.log10(2))])
    torch.testing.assert_close(psnr(pictures, targets), expected, rtol=1e-4, atol=1e-4)


def test_gradient_loss_sees_edges_not_brightness() -> None:
    targets = uniform(2, 3, 16, 16)
    torch.testing.assert_close(gradient_loss(targets + 0.3, targets), torch.tensor(0.0), atol=1e-6, rtol=0)
    ramp = torch.arange(16.0).expand(1, 3, 16, 16)  # steps of 1, 2 and 4 across, none down
    torch.testing.assert_close(gradient_loss(ramp, torch.zeros_like(ramp)), torch.tensor((1 + 2 + 4) / 3))
    torch.testing.assert_close(gradient_loss(ramp.mT, torch.zeros_like(ramp), scales=1), torch.tensor(1.0))


def test_gradient_loss_compares_pictures_with_targets_edge_by_edge() -> None:
    pictures, targets = uniform(2, 3, 8, 8), uniform(2, 3, 8, 8, seed=1)
    x, y = pictures.double().numpy(), targets.double().numpy()
    total = 0.0
    for _ in range(2):
        total += sum(np.abs(np.diff(x, axis=axis) - np.diff(y, axis=axis)).mean() for axis in (2, 3))
        x, y = (z.reshape(2, 3, z.shape[2] // 2, 2, z.shape[3] // 2, 2).mean((3, 5)) for z in (x, y))
    assert gradient_loss(pictures, targets, scales=2).item() == pytest.approx(total / 2, rel=1e-5)


def test_reconstruction_loss_weighs_its_parts() -> None:
    pictures, targets = uniform(2, 3, 8, 8), uniform(2, 3, 8, 8, seed=1)
    error = pictures - targets
    parts = {"l1": error.abs().mean(), "mse": error.square().mean()}
    parts["gradient"] = gradient_loss(pictures, targets)
    for name, part in parts.items():
        alone = LossWeights(**{other: float(other == name) * 3 for other in parts})
        torch.testing.assert_close(reconstruction_loss(pictures, targets, alone), 3 * part)
    whole = parts["l1"] + 2 * parts["mse"] + parts["gradient"]
    torch.testing.assert_close(reconstruction_loss(pictures, targets, LossWeights()), whole)


def test_hinge_loss_closed_form_and_margin() -> None:
    real = torch.tensor([2.0, 0.5, -1.0], requires_grad=True)
    fake = torch.tensor([-3.0, 0.0, 1.0], requires_grad=True)
    loss = hinge_loss(real, fake)
    assert loss.item() == pytest.approx((2.5 / 3 + 3.0 / 3) / 2)
    loss.backward()
    torch.testing.assert_close(real.grad, torch.tensor([0.0, -1.0, -1.0]) / 6)
    torch.testing.assert_close(fake.grad, torch.tensor([0.0, 1.0, 1.0]) / 6)


def test_generator_wants_to_be_taken_for_real() -> None:
    assert generator_loss(torch.tensor([1.0, -3.0])).item() == 1.0


def test_adaptive_weight_closed_form_and_clamp() -> None:
    rec = torch.tensor([[3.0, 4.0]], requires_grad=True)
    weight = adaptive_weight(rec, torch.tensor([[0.0, 2.0]]))
    assert weight.item() == pytest.approx(5 / 2.0001)
    assert not weight.requires_grad
    assert adaptive_weight(rec, torch.zeros(1, 2)).item() == 1e4
    assert adaptive_weight(rec, torch.zeros(1, 2), clamp=7.0).item() == 7.0
    assert adaptive_weight(torch.zeros(1, 2), rec).item() == 0.0


def scipy_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004 on one channel by scipy's Gaussian filter; only windows inside the picture count."""

    def mean(z: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(z, 1.5, radius=5)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return float(((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def test_ssim_equals_scipy() -> None:
    contrast = torch.linspace(0.02, 0.3, 24)  # dark and faint on the left: there the constants matter
    targets = 0.01 + contrast * uniform(3, 3, 32, 24)
    pictures = targets + 0.5 * contrast * uniform(3, 3, 32, 24, seed=1)
    pairs = zip(pictures.double().numpy(), targets.double().numpy(), strict=True)
    expected = [np.mean([scipy_ssim(*channels) for channels in zip(x, y, strict=True)]) for x, y in pairs]
    np.testing.assert_allclose(ssim(pictures, targets), expected, rtol=1e-4)
    torch.testing.assert_close(ssim(targets, targets), torch.ones(3))
