"""How fast to learn at each step."""

import math


def warmup_schedule(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The share of the peak learning rate that step `step` uses: it rises, may stay, and falls to zero.

    Args:
        step: the step that is about to be taken, from 0.
        steps: how many there will be.
        warmup: how many of them rise linearly; the last of these reaches 1.
        hold: the share of all steps, from the first, up to which the rate stays at its peak.
        decay: how the rest falls: `linear`, or `cosine` (Loshchilov & Hutter 2017, eq. 5).

    Returns:
        A number in [0, 1].
    """
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / max(steps - flat, 1)
    return 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
