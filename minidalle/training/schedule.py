"""How fast to learn at each step."""

import math


def warmup_schedule(
    step: int,
    steps: int,
    warmup: int,
    hold: float = 0.0,
    decay: str = "linear",
) -> float:
    """The share of the peak learning rate that step `step` uses: it rises, may stay, and falls to zero.

    Steps 0 to 5 of 6, with 2 to warm up → 0.5, 1.0, 1.0, 0.75, 0.5, 0.25; with hold = 0.5 → 0.5, 1.0,
    1.0, 1.0, 0.667, 0.333. The first step is not lost at 0, and the 0 at the end belongs to step `steps`,
    which is never taken.

    Args:
        step: the step that is about to be taken, from 0.
        steps: how many there will be.
        warmup: how many of them rise linearly; the last of these reaches 1. May be 0.
        hold: the share of all steps, from step 0, up to which the rate stays at its peak: the fall begins
            at step max(warmup, round(hold · steps)).
        decay: how the rest falls: "linear", or "cosine" (Loshchilov & Hutter 2017, eq. 5): half a turn.

    Returns:
        A float in [0, 1].
    """
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / max(steps - flat, 1)
    return 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
