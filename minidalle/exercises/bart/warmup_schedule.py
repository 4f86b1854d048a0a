"""Exercise: how fast to learn at each step."""

import math

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart_layers import probe_warmup_schedule
from minidalle.runtime import numpy_generator
from minidalle.training.schedule import warmup_schedule


def cases(seed: int) -> list[Case]:
    """Every step of some trainings: only falling, with a warm-up, on a cosine, with a peak that lasts.

    Shares of steps are whole numbers of them, so it makes no difference how they are rounded.
    """
    random = numpy_generator(seed, "bart.warmup_schedule")

    def case(steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> Case:
        return {"steps": steps, "warmup": warmup, "hold": hold, "decay": decay}

    def number(low: int, high: int) -> int:
        return int(random.integers(low, high + 1))

    early = number(2, 4)
    return [
        case(number(5, 9), number(2, 3)),
        case(number(3, 9), 0),
        case(number(8, 14), number(2, 4), decay="cosine"),
        case(number(7, 12), 0, decay="cosine"),
        case(4 * number(2, 5), number(2, 3), float(random.choice([0.5, 0.75]))),
        case(2 * number(5, 9), number(2, 4), 0.5, "cosine"),
        case(4 * early, early + number(1, 4), 0.25),
    ]


def _flat(steps: int, warmup: int, hold: float) -> int:
    """Where the peak ends."""
    return max(warmup, round(hold * steps))


def _fall(progress: float, decay: str) -> float:
    return 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))


def _rest(step: int, flat: int, steps: int, decay: str) -> float:
    """All that comes after the warm-up, if the peak ends at step `flat`."""
    return 1.0 if step < flat else _fall((step - flat) / (steps - flat), decay)


def _whole(step: int, steps: int, warmup: int, hold: float, decay: str) -> float:
    return (step + 1) / warmup if step < warmup else _rest(step, _flat(steps, warmup, hold), steps, decay)


def starts_at_zero(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Step 0 would learn nothing, and the last step of the warm-up would stay below 1. With step `step`, step + 1 steps
    of the warm-up are taken."""
    if step < warmup:
        return step / warmup
    return _rest(step, _flat(steps, warmup, hold), steps, decay)


def divides_by_one_step_too_many(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The last step of the warm-up, step warmup − 1, is at 1: divide its step + 1 by `warmup`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _rest(step, _flat(steps, warmup, hold), steps, decay)


def warms_up_for_one_step_more(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The first step is number 0, so the warm-up is over before step `warmup`: `<` in place of `<=`. Yours rises above
    1, and divides by 0 where there is no warm-up."""
    if step <= warmup:
        return (step + 1) / warmup
    return _rest(step, _flat(steps, warmup, hold), steps, decay)


def forgets_to_warm_up(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The first `warmup` steps rise in equal parts: step `step` is at (step + 1) / warmup."""
    return _rest(step, _flat(steps, warmup, hold), steps, decay)


def falls_while_it_rises(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """First it rises, then it falls. You multiply the two, so the peak is never reached."""
    rise = min(1.0, (step + 1) / max(warmup, 1))
    return rise * _fall(step / steps, decay)


def never_falls(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """After its peak the rate falls to 0: by how much, says the share of the remaining steps that is over."""
    return (step + 1) / warmup if step < warmup else 1.0


def counts_the_fall_from_step_0(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The rate jumps down when the peak is over. Count how far it has fallen from where it begins to fall."""
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 if step < _flat(steps, warmup, hold) else _fall(step / steps, decay)


def falls_too_slowly(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The fall takes the steps that are left when the peak is over, not all of them: divide by their number."""
    if step < warmup:
        return (step + 1) / warmup
    flat = _flat(steps, warmup, hold)
    return 1.0 if step < flat else _fall((step - flat) / steps, decay)


def falls_one_step_early(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The first step after the warm-up, or after the hold, is still at the peak: of the fall nothing is over yet."""
    if step < warmup:
        return (step + 1) / warmup
    flat = _flat(steps, warmup, hold)
    return 1.0 if step < flat else _fall((step + 1 - flat) / (steps - flat), decay)


def reaches_zero_at_the_last_step(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """A step at 0 learns nothing. The last step is number steps − 1, and the 0 belongs to step `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    flat = _flat(steps, warmup, hold)
    return 1.0 if step < flat else _fall((step - flat) / (steps - 1 - flat), decay)


def starts_the_fall_at_zero(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """After the peak you begin at 0 and rise. It is the other way round: 1 minus the share that is over."""
    if step < warmup:
        return (step + 1) / warmup
    flat = _flat(steps, warmup, hold)
    return 1.0 if step < flat else _fall((steps - step) / (steps - flat), decay)


def ignores_the_hold(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Before step hold · steps the rate stays at its peak; the fall begins only there."""
    return (step + 1) / warmup if step < warmup else _rest(step, warmup, steps, decay)


def adds_the_hold_to_the_warmup(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """`hold` counts from the first step, warm-up included: the peak ends at step hold · steps."""
    if step < warmup:
        return (step + 1) / warmup
    return _rest(step, warmup + round(hold * steps), steps, decay)


def takes_a_share_of_the_steps_after_the_warmup(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """`hold` is a share of all steps, not of those after the warm-up: the peak ends at step hold · steps."""
    if step < warmup:
        return (step + 1) / warmup
    return _rest(step, warmup + round(hold * (steps - warmup)), steps, decay)


def begins_to_fall_during_the_warmup(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """The fall begins after the warm-up and after the hold, whichever is later: max(warmup, hold · steps)."""
    return (step + 1) / warmup if step < warmup else _rest(step, round(hold * steps), steps, decay)


def always_falls_in_a_line(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Where `decay` is "cosine", the fall follows half a turn of the cosine."""
    return (step + 1) / warmup if step < warmup else _rest(step, _flat(steps, warmup, hold), steps, "linear")


def always_falls_by_the_cosine(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Where `decay` is "linear", the fall is a straight line: 1 minus the share that is over."""
    return (step + 1) / warmup if step < warmup else _rest(step, _flat(steps, warmup, hold), steps, "cosine")


def forgets_to_halve_the_cosine(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """The cosine goes from 1 to −1. Add 1, and it goes from 2 to 0; half of that goes from 1 to 0."""
    rest = _whole(step, steps, warmup, hold, decay)
    return 2 * rest if decay == "cosine" and step >= _flat(steps, warmup, hold) else rest


def measures_the_turn_in_shares(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """`math.cos` wants radians, and half a turn is π: multiply the share that is over by `math.pi`."""
    flat = _flat(steps, warmup, hold)
    if decay == "linear" or step < flat:
        return _whole(step, steps, warmup, hold, decay)
    return 0.5 * (1 + math.cos((step - flat) / (steps - flat)))


def takes_a_quarter_of_a_turn(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """cos(π/2 · share) falls fastest at the end. Half a turn ends gently: (1 + cos(π · share)) / 2."""
    flat = _flat(steps, warmup, hold)
    if decay == "linear" or step < flat:
        return _whole(step, steps, warmup, hold, decay)
    return math.cos(0.5 * math.pi * (step - flat) / (steps - flat))


def falls_as_in_the_first_transformer(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """There the rate falls with the root of the steps, and never to 0. Here it falls in a line or by the cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return math.sqrt(max(warmup, 1) / (step + 1))


def with_the_smallest_of_three(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Right: no share is above 1, and each part is the smaller one where it counts."""
    left = (steps - step) / max(steps - max(warmup, round(hold * steps)), 1)
    fall = left if decay == "linear" else math.sin(0.5 * math.pi * min(left, 1)) ** 2
    return min((step + 1) / warmup if warmup else 1.0, fall if left < 1 else 1.0, 1.0)


def part_by_part(step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear") -> float:
    """Right: three parts, one after the other, each with its own steps."""
    if warmup > step:
        return 1 / warmup + step / warmup
    held = round(steps * hold) - warmup
    since = step - warmup - max(held, 0)
    if since <= 0:
        return 1.0
    share = since / (steps - warmup - max(held, 0))
    return (math.cos(share * math.pi) + 1) / 2 if decay == "cosine" else 1.0 - share


HINTS = (
    "There are three parts: the rate rises, it stays, it falls. Find out first in which of them the step is; where the "
    "second one ends, the third one begins.",
    "Step `step` of the warm-up is at (step + 1) / warmup. The peak ends at flat = max(warmup, round(hold · steps)). "
    "Then p = (step − flat) / (steps − flat) of the fall is over, and the rate is 1 − p or (1 + cos(π · p)) / 2.",
    """\
def warmup_schedule(step, steps, warmup, hold=0.0, decay="linear"):
    if step < warmup:
        return ...
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return ...
    progress = ...
    return 1 - progress if decay == "linear" else ...
""",
)

EXERCISE = Exercise(
    id="bart.warmup_schedule",
    points=2,
    minutes=10,
    stars=1,
    reference=warmup_schedule,
    cases=cases,
    wrong=(
        starts_at_zero,
        divides_by_one_step_too_many,
        warms_up_for_one_step_more,
        forgets_to_warm_up,
        falls_while_it_rises,
        never_falls,
        counts_the_fall_from_step_0,
        falls_too_slowly,
        falls_one_step_early,
        reaches_zero_at_the_last_step,
        starts_the_fall_at_zero,
        ignores_the_hold,
        adds_the_hold_to_the_warmup,
        takes_a_share_of_the_steps_after_the_warmup,
        begins_to_fall_during_the_warmup,
        always_falls_in_a_line,
        always_falls_by_the_cosine,
        forgets_to_halve_the_cosine,
        measures_the_turn_in_shares,
        takes_a_quarter_of_a_turn,
        falls_as_in_the_first_transformer,
    ),
    also_right=(with_the_smallest_of_three, part_by_part),
    hints=HINTS,
    reaches="BartStage.step",
    probe=probe_warmup_schedule,
    tolerance=1e-5,
)
