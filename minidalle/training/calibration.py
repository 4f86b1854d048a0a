"""Temperature scaling: a trained BART is too sure of itself on pictures that it has not seen; one number mends that.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.bart import Bart
from minidalle.data.tokens import TokenRows
from minidalle.errors import require
from minidalle.training.bart import row_logits

STEPS = 8  # of Newton's method, which needs four or five
FURTHEST = 4.0  # a temperature beyond this, or below its inverse, comes from too few rows


class Calibration(NamedTuple):
    """What a temperature did to the loss on the rows that it was chosen on, in nats per token."""

    temperature: float
    nats_before: float
    nats_after: float


@torch.no_grad()
def calibrate(bart: Bart, tokens: TokenRows, rows: np.ndarray) -> Calibration:
    """Divide a BART's logits by the temperature at which some held-out rows are likeliest.

    The head's weights are changed, nothing else: which token is the likeliest stays as it is everywhere.

    Args:
        bart: in eval mode, with a head of its own.
        tokens: the data set.
        rows: int64 [M], rows that it was not trained on, at least one.

    Raises:
        InvalidValue: the model is tied, so that its head is its table of tokens; or there are no rows.
    """
    require(not bart.config.tied, "bart tied", True, "False: the head of a tied model is its table of tokens")
    require(len(rows) > 0, "rows", len(rows), "1 or more to choose the temperature on")
    inverse, before = torch.ones((), dtype=torch.float64), float("nan")
    for step in range(STEPS):
        nats, slope, curvature = _derivatives(bart, tokens, rows, inverse)
        before = nats if step == 0 else before
        inverse = (inverse - slope / curvature.clamp(min=1e-12)).clamp(1 / FURTHEST, FURTHEST)
    bart.get_parameter("decoder.head.weight").mul_(inverse.item())
    return Calibration(1 / inverse.item(), before, nats)


def _derivatives(bart: Bart, tokens: TokenRows, rows: np.ndarray, inverse: Tensor) -> tuple[float, Tensor, Tensor]:
    """The loss per token at an inverse temperature, and its first and second derivative by that.

    With p = softmax(b · z) the loss of token y is log Σ exp(b · z) − b · z_y: its slope is E_p[z] − z_y, its curvature
    the variance of z under p. It is convex, so that Newton's method finds the one lowest point.
    """
    total = torch.zeros(3, dtype=torch.float64)
    for logits, image in row_logits(bart, tokens, rows):
        z, own = logits.cpu().double(), image.cpu().unsqueeze(-1)  # not every GPU has float64
        log_chance = (z * inverse).log_softmax(-1)
        chance = log_chance.exp()
        mean = (chance * z).sum(-1)
        nats = -log_chance.gather(-1, own).squeeze(-1)
        slope, curvature = mean - z.gather(-1, own).squeeze(-1), (chance * z**2).sum(-1) - mean**2
        total += torch.stack([part.sum() for part in (nats, slope, curvature)])
    nats, slope, curvature = total / (len(rows) * tokens.image.shape[1])
    return nats.item(), slope, curvature
