"""Exercise: move a codebook by running means."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_ema_update
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import ema_update

Moved = tuple[Tensor, Tensor, Tensor]

SIZES = ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (5, 2))


def cases(seed: int) -> list[Case]:
    """From one code of one number; a large ε; a code that nothing chose, now or ever; as many codes as numbers."""
    chance = generator(seed, "vqgan.ema_update")
    drawn: list[Case] = []
    for number, (codes, width) in enumerate(SIZES):
        counts, batch_counts = (torch.randint(2, 9, (codes,), generator=chance).float() for _ in range(2))
        means, batch_means = (torch.randint(1, 9, (codes, width), generator=chance).float() for _ in range(2))
        batch_counts[1:2] = 0.0
        counts[3:4] = batch_counts[3:4] = 0.0
        drawn.append(
            {
                "counts": counts,
                "sums": counts.unsqueeze(1) * means,
                "batch_counts": batch_counts,
                "batch_sums": batch_counts.unsqueeze(1) * (batch_means + 8),
                "decay": (0.75, 0.875)[number % 2],
                "epsilon": 1e-5 if number == len(SIZES) - 1 else 0.5,
            }
        )
    return drawn


def _running(old: Tensor, new: Tensor, decay: float) -> Tensor:
    return decay * old + (1 - decay) * new


def _smooth(counts: Tensor, epsilon: float) -> Tensor:
    return (counts + epsilon) / (counts.sum() + len(counts) * epsilon) * counts.sum()


def _moved(counts: Tensor, sums: Tensor, epsilon: float) -> Moved:
    return counts, sums, sums / _smooth(counts, epsilon)[:, None]


def swaps_decay_and_1_minus_decay(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """`decay` is what is kept of the past, and 1 − decay what is taken of the batch."""
    counts, sums = _running(batch_counts, counts, decay), _running(batch_sums, sums, decay)
    return _moved(counts, sums, epsilon)


def forgets_the_past(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """One batch is too little to go by: keep `decay` times the old counts and sums."""
    return _moved(batch_counts.clone(), batch_sums.clone(), epsilon)


def adds_the_whole_batch(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """The batch counts 1 − decay times. Added in full, the counts grow to many times a batch's."""
    return _moved(decay * counts + batch_counts, decay * sums + batch_sums, epsilon)


def divides_by_counts_that_are_not_smoothed(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """A code that nothing chose has 0 / 0, which is nan: divide by the smoothed counts."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / counts[:, None]


def divides_by_the_counts_of_the_batch(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """The running sums belong to the running counts: smooth those, after they have moved."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / _smooth(batch_counts, epsilon)[:, None]


def divides_by_the_old_counts(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """The new sums belong to the new counts: move both before you divide."""
    new_counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return new_counts, sums, sums / _smooth(counts, epsilon)[:, None]


def divides_the_old_sums(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """The codebook is one step late: it is the new sums by the new counts."""
    counts, new_sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, new_sums, sums / _smooth(counts, epsilon)[:, None]


def only_adds_epsilon(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Smoothed counts still add up to N: N · (n + ε) / (N + K ε)."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / (counts + epsilon)[:, None]


def takes_epsilon_as_a_minimum(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """ε is added to each count, however large that is: N · (n + ε) / (N + K ε)."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / counts.clamp(min=epsilon)[:, None]


def adds_epsilon_only_to_the_total(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """A count of 0 stays 0, and 0 / 0 is nan: ε is added to each count, too, N · (n + ε) / (N + K ε)."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    total = counts.sum()
    return counts, sums, sums / (counts / (total + len(counts) * epsilon) * total)[:, None]


def forgets_to_multiply_by_the_total(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """(n + ε) / (N + K ε) is a share of 1. Times N, it is a count again."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / (_smooth(counts, epsilon) / counts.sum())[:, None]


def adds_epsilon_once_to_the_total(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Each of the K codes gets an ε, so the total gets K of them: N + K ε."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    total = counts.sum()
    return counts, sums, sums / ((counts + epsilon) / (total + epsilon) * total)[:, None]


def takes_the_width_for_the_number_of_codes(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """K is the number of codes, the rows of the codebook; D, how wide each is, does not matter here."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    total = counts.sum()
    return counts, sums, sums / ((counts + epsilon) / (total + sums.shape[1] * epsilon) * total)[:, None]


def takes_the_total_of_the_old_counts(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """N is the sum of the new counts, those that are smoothed: move the counts first."""
    total = counts.sum()
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / ((counts + epsilon) / (total + len(counts) * epsilon) * total)[:, None]


def adds_the_sums_up(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """The sums are a running mean as well: `decay` times the old ones, and 1 − decay times the batch's."""
    return _moved(_running(counts, batch_counts, decay), sums + batch_sums, epsilon)


def keeps_the_smoothed_counts(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Smoothing is only for the division. Return the running counts as they are, or ε comes in again every step."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    smoothed = _smooth(counts, epsilon)
    return smoothed, sums, sums / smoothed[:, None]


def averages_the_codes(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """A batch with one latent would pull as hard as one with a hundred: divide the running sums by the running
    counts, once."""
    old, new = sums / _smooth(counts, epsilon)[:, None], batch_sums / _smooth(batch_counts, epsilon)[:, None]
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, _running(old, new, decay)


def averages_the_means(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """A batch with one latent would pull as hard as one with a hundred: average sums and counts, then divide once."""
    old, new = (s / n.clamp(min=epsilon)[:, None] for n, s in ((counts, sums), (batch_counts, batch_sums)))
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, _running(old, new, decay)


def divides_along_the_wrong_dimension(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Counts [K] divide sums [K, D] row by row: make them a column [K, 1], with `unsqueeze(1)` or `[:, None]`."""
    counts, sums = _running(counts, batch_counts, decay), _running(sums, batch_sums, decay)
    return counts, sums, sums / _smooth(counts, epsilon)


def changes_the_tensors_it_was_given(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Make new tensors: `mul_`, `add_` and `*=` write into those of whoever called you."""
    counts.mul_(decay).add_(batch_counts, alpha=1 - decay)
    sums.mul_(decay).add_(batch_sums, alpha=1 - decay)
    return _moved(counts, sums, epsilon)


def moves_by_linear_interpolation(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Right: `lerp` is the same mixture, and the counts become a column at once."""
    counts, sums = counts.lerp(batch_counts, 1 - decay), sums.lerp(batch_sums, 1 - decay)
    column = counts.view(-1, 1)
    total = column.sum()
    return counts, sums, sums * (total + column.numel() * epsilon) / (total * (column + epsilon))


def goes_code_by_code(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Right: every code in its turn, once the total is known."""
    counts = counts - (1 - decay) * (counts - batch_counts)
    sums = sums - (1 - decay) * (sums - batch_sums)
    scale = counts.sum() / (counts.sum() + counts.numel() * epsilon)
    codes = [total / ((count + epsilon) * scale) for total, count in zip(sums, counts, strict=True)]
    return counts, sums, torch.stack(codes)


def smooths_shares(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> Moved:
    """Right: smooth the shares of the total, and give the sums their shares, too."""
    both = torch.cat([counts[:, None], sums], dim=1) * decay
    both = both + torch.cat([batch_counts[:, None], batch_sums], dim=1) * (1 - decay)
    counts, sums = both[:, 0], both[:, 1:]
    shares = (counts + epsilon) / (counts + epsilon).sum()
    return counts, sums, (sums.T / counts.sum() / shares).T


HINTS = (
    "Two running means, one of the counts and one of the sums: each keeps a part of what it was and takes the rest "
    "from the batch. A code is the mean of the latents that chose it: their sum by their count.",
    "n = decay · n + (1 − decay) · n of the batch; the same for the sums m. With N = Σ n, each code is "
    "m divided by N · (n + ε) / (N + K ε). n is [K] and m [K, D], so n has to become a column first.",
    """\
def ema_update(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    counts = ...
    sums = ...
    total = counts.sum()
    smoothed = total * ...
    return counts, sums, sums / ...  # [K, D] by a column [K, 1]
""",
)

EXERCISE = Exercise(
    id="vqgan.ema_update",
    points=4,
    minutes=20,
    stars=3,
    reference=ema_update,
    cases=cases,
    wrong=(
        swaps_decay_and_1_minus_decay,
        forgets_the_past,
        adds_the_whole_batch,
        divides_by_counts_that_are_not_smoothed,
        divides_by_the_counts_of_the_batch,
        divides_by_the_old_counts,
        divides_the_old_sums,
        only_adds_epsilon,
        takes_epsilon_as_a_minimum,
        adds_epsilon_only_to_the_total,
        forgets_to_multiply_by_the_total,
        adds_epsilon_once_to_the_total,
        takes_the_width_for_the_number_of_codes,
        takes_the_total_of_the_old_counts,
        adds_the_sums_up,
        keeps_the_smoothed_counts,
        averages_the_codes,
        averages_the_means,
        divides_along_the_wrong_dimension,
        changes_the_tensors_it_was_given,
    ),
    also_right=(moves_by_linear_interpolation, goes_code_by_code, smooths_shares),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_ema_update,
    tolerance=1e-3,
)
