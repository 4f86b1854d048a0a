"""Exercise: how good a reconstruction is, in decibels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_losses import probe_psnr
from minidalle.runtime import generator
from minidalle.vqgan.losses import psnr


def cases(seed: int) -> list[Case]:
    """One pixel; errors of one sign and of both; pictures of different quality together, one of them perfect."""
    chance = generator(seed, "vqgan.psnr")

    def drawn(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=chance)

    def signs(*shape: int) -> Tensor:
        return 2.0 * torch.randint(2, shape, generator=chance) - 1

    def case(targets: Tensor, error: Tensor) -> Case:
        return {"pictures": targets + error, "targets": targets}

    one = drawn(1, 3, 1, 1, low=0.4, high=0.6)
    small, wide = drawn(1, 3, 2, 2, low=0.3, high=0.6), drawn(2, 3, 4, 6, low=0.3, high=0.7)
    many, perfect = drawn(3, 3, 6, 4, low=0.3, high=0.7), drawn(2, 3, 3, 2, low=0.3, high=0.6)
    by_channel = torch.tensor([0.02, 0.06, 0.2]).reshape(1, 3, 1, 1)
    by_picture = torch.tensor([0.01, 0.05, 0.2]).reshape(3, 1, 1, 1)
    first = torch.tensor([0.0, 0.1]).reshape(2, 1, 1, 1)
    return [
        case(one, drawn(1, 1, 1, 1, low=0.05, high=0.15).expand(1, 3, 1, 1)),
        case(small, drawn(1, 3, 2, 2, low=0.01, high=0.3)),
        case(wide, by_channel * drawn(2, 3, 4, 6, low=0.2, high=1) * signs(2, 3, 4, 6)),
        case(many, by_picture * drawn(3, 3, 6, 4, low=0.5, high=1) * signs(3, 3, 6, 4)),
        case(perfect, first * drawn(2, 3, 3, 2, low=0.2, high=1) * signs(2, 3, 3, 2)),
    ]


def _mse(pictures: Tensor, targets: Tensor) -> Tensor:
    return (pictures - targets).square().mean(dim=(1, 2, 3))


def takes_the_natural_logarithm(pictures: Tensor, targets: Tensor) -> Tensor:
    """Decibels count powers of ten: `log10`. `log` is the logarithm with base e, and 2.3 times as large."""
    return -10 * _mse(pictures, targets).log()


def multiplies_by_20(pictures: Tensor, targets: Tensor) -> Tensor:
    """20 belongs to the root of the mean squared error. Before the root is taken, the factor is 10."""
    return -20 * _mse(pictures, targets).log10()


def takes_the_root_of_the_error(pictures: Tensor, targets: Tensor) -> Tensor:
    """With the factor 10, the logarithm is of the mean squared error itself. Its root halves the decibels."""
    return -10 * _mse(pictures, targets).sqrt().log10()


def forgets_the_minus(pictures: Tensor, targets: Tensor) -> Tensor:
    """The logarithm of a small error is negative, and a good picture has many decibels: change the sign."""
    return 10 * _mse(pictures, targets).log10()


def forgets_the_factor_10(pictures: Tensor, targets: Tensor) -> Tensor:
    """What you have is in bels. A decibel is a tenth of one, so there are ten times as many."""
    return -_mse(pictures, targets).log10()


def averages_the_batch_before_the_logarithm(pictures: Tensor, targets: Tensor) -> Tensor:
    """Every picture has a number of its own. Average over its channels and pixels, and leave the batch alone."""
    return -10 * (pictures - targets).square().mean().log10()


def averages_the_decibels_of_the_channels(pictures: Tensor, targets: Tensor) -> Tensor:
    """First one mean over all that a picture has, channels too, then the logarithm: the order makes a difference."""
    return -10 * (pictures - targets).square().mean(dim=(2, 3)).log10().mean(dim=1)


def adds_the_channels_up(pictures: Tensor, targets: Tensor) -> Tensor:
    """The mean is over the three channels, too. Added up, they make the error three times as large, and cost 4.8 dB."""
    return -10 * (pictures - targets).square().sum(dim=1).mean(dim=(1, 2)).log10()


def takes_255_for_the_largest_value(pictures: Tensor, targets: Tensor) -> Tensor:
    """These pixels are in [0, 1], so the peak is 1. 255 is for pixels in bytes, and adds 48 dB."""
    return 20 * math.log10(255) - 10 * _mse(pictures, targets).log10()


def takes_the_brightest_pixel_for_the_peak(pictures: Tensor, targets: Tensor) -> Tensor:
    """The peak is the largest value that a pixel can have, 1, also in a picture that has no such pixel."""
    return 10 * (targets.flatten(1).amax(dim=1).square() / _mse(pictures, targets)).log10()


def takes_the_absolute_error(pictures: Tensor, targets: Tensor) -> Tensor:
    """Square the differences before you average: a few large errors count more than many small ones."""
    return -10 * (pictures - targets).abs().mean(dim=(1, 2, 3)).log10()


def squares_the_mean_absolute_error(pictures: Tensor, targets: Tensor) -> Tensor:
    """First square each difference, then average. The square of the mean is smaller, as large errors count less."""
    return -20 * (pictures - targets).abs().mean(dim=(1, 2, 3)).log10()


def lets_errors_cancel(pictures: Tensor, targets: Tensor) -> Tensor:
    """Square each difference before you average. Otherwise too bright here and too dark there is no error."""
    return -10 * (pictures - targets).mean(dim=(1, 2, 3)).square().log10()


def adds_the_errors_up(pictures: Tensor, targets: Tensor) -> Tensor:
    """It is the mean of the squared errors, not their sum: else a larger picture is a worse one."""
    return -10 * (pictures - targets).square().sum(dim=(1, 2, 3)).log10()


def compares_squared_pixels(pictures: Tensor, targets: Tensor) -> Tensor:
    """Subtract first, then square. The difference of two squares is something else."""
    return -10 * (pictures.square() - targets.square()).abs().mean(dim=(1, 2, 3)).log10()


def keeps_a_perfect_picture_finite(pictures: Tensor, targets: Tensor) -> Tensor:
    """Where nothing differs, the answer is infinity, and `log10` gives it by itself: add and clamp nothing."""
    return -10 * (_mse(pictures, targets) + 1e-10).log10()


def with_the_root(pictures: Tensor, targets: Tensor) -> Tensor:
    """Right: 20 times the logarithm of peak over root mean squared error."""
    return 20 * (1.0 / F.mse_loss(pictures, targets, reduction="none").flatten(1).mean(1).sqrt()).log10()


def picture_by_picture(pictures: Tensor, targets: Tensor) -> Tensor:
    """Right: a loop over the batch."""
    return torch.stack([10 * torch.log10(1 / ((p - t) ** 2).mean()) for p, t in zip(pictures, targets, strict=True)])


def by_another_logarithm(pictures: Tensor, targets: Tensor) -> Tensor:
    """Right: the natural logarithm, divided by that of ten."""
    error = torch.einsum("bchw,bchw->b", pictures - targets, pictures - targets) / targets[0].numel()
    return error.log() * (-10 / math.log(10))


HINTS = (
    "How large is a picture's error, what power of ten is that, and how many decibels? Three steps, and after the "
    "first there is one number for each picture.",
    "PSNR = −10 · log10(mean of (picture − target)²), the mean over channels, rows and columns: "
    "`.flatten(1)` makes one row of each picture, and `.mean(dim=1)` averages it.",
    """\
def psnr(pictures, targets):
    squared = ...  # [B, 3, H, W]
    error = squared.flatten(1).mean(...)  # [B]
    return ...
""",
)

EXERCISE = Exercise(
    id="vqgan.psnr",
    points=2,
    minutes=10,
    stars=1,
    reference=psnr,
    cases=cases,
    wrong=(
        takes_the_natural_logarithm,
        multiplies_by_20,
        takes_the_root_of_the_error,
        forgets_the_minus,
        forgets_the_factor_10,
        averages_the_batch_before_the_logarithm,
        averages_the_decibels_of_the_channels,
        adds_the_channels_up,
        takes_255_for_the_largest_value,
        takes_the_brightest_pixel_for_the_peak,
        takes_the_absolute_error,
        squares_the_mean_absolute_error,
        lets_errors_cancel,
        adds_the_errors_up,
        compares_squared_pixels,
        keeps_a_perfect_picture_finite,
    ),
    also_right=(with_the_root, picture_by_picture, by_another_logarithm),
    hints=HINTS,
    reaches="VQGANStage.step",
    forbid=("skimage", "torchmetrics"),
    probe=probe_psnr,
    tolerance=0.01,
)
