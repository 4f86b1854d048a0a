"""Exercise: move codes that nothing chooses to where the latents are."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_restart_dead_codes
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import restart_dead_codes

Restarted = tuple[Tensor, Tensor]

COUNTS = (
    ([0.25], 3),
    ([4, 0.25], 3),
    ([0.5, 4, 0, 1], 5),
    ([0.5, 0.25, 3, 0], 2),
    ([1, 0, 6, 0.5, 4, 0.25], 9),
    ([0.5, 0.25, 3, 0, 4, 0], 2),
    ([9, 4, 3, 6], 2),
)
"""How often codes were chosen, in units of the threshold, and how many candidates there are."""


def cases(seed: int) -> list[Case]:
    """One dead code; several; one exactly at the threshold; more than there are candidates; none; any."""
    chance = generator(seed, "vqgan.restart_dead_codes")
    any_counts = torch.randint(0, 8, (7,), generator=chance) / 4
    return [
        _case(torch.tensor(counts), many, chance) for counts, many in (*COUNTS, (any_counts.tolist(), len(any_counts)))
    ]


def _case(counts: Tensor, many: int, chance: torch.Generator) -> Case:
    """Codes and candidates that are all different; an order that does not begin with 0."""
    threshold = 2.0 ** int(torch.randint(-1, 3, (), generator=chance))
    width = 1 if len(counts) <= 4 else int(torch.randint(2, 4, (), generator=chance))
    numbers = torch.randperm((len(counts) + many) * width, generator=chance).float()
    codebook, candidates = numbers.reshape(-1, width).split([len(counts), many])
    order = torch.randperm(many, generator=chance)
    return {
        "codebook": codebook,
        "counts": counts * threshold,
        "candidates": candidates,
        "threshold": threshold,
        "order": torch.cat([order[order > 0], order[order == 0]]),
    }


def _restarted(codebook: Tensor, dead: Tensor, chosen: Tensor) -> Restarted:
    """The codes whose indices are `dead` become the rows of `chosen`, as far as there are enough of both."""
    pairs = min(len(dead), len(chosen))
    moved, mask = codebook.clone(), codebook.new_zeros(len(codebook), dtype=torch.bool)
    moved[dead[:pairs]] = chosen[:pairs]
    mask[dead[:pairs]] = True
    return moved, mask


def restarts_the_codes_in_use(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """A code is dead if its count is below the threshold; you move the others."""
    return _restarted(codebook, torch.where(counts >= threshold)[0], candidates[order])


def restarts_codes_at_the_threshold(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Dead is less than the threshold. A code exactly at it lives: < and not <=."""
    return _restarted(codebook, torch.where(counts <= threshold)[0], candidates[order])


def restarts_only_codes_never_chosen(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """A running count never gets quite to 0. Compare it with the threshold."""
    return _restarted(codebook, torch.where(counts == 0)[0], candidates[order])


def compares_shares_with_the_threshold(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """The threshold is a count, too: compare it with the counts as they are."""
    return _restarted(codebook, torch.where(counts / counts.sum() < threshold)[0], candidates[order])


def ignores_the_order(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """`order` is what makes it a choice by lot: the i-th dead code gets candidates[order[i]], not candidates[i]."""
    return _restarted(codebook, torch.where(counts < threshold)[0], candidates)


def gives_all_dead_codes_the_same_candidate(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Codes at the same place stay together, and all but one of them are dead again. The i-th gets
    candidates[order[i]]."""
    chosen = candidates[order[:1]].expand(len(order), -1)
    return _restarted(codebook, torch.where(counts < threshold)[0], chosen)


def numbers_all_codes_and_not_the_dead_ones(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """The first dead code gets candidates[order[0]], wherever in the codebook it is: count dead codes only."""
    dead = torch.where(counts < threshold)[0][: len(candidates)]
    return _restarted(codebook, dead, candidates[order[dead]])


def restarts_more_codes_than_there_are_candidates(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """M candidates are enough for M codes: take only the first M of the dead ones, and let the rest stay."""
    moved, mask = codebook.clone(), counts < threshold
    moved[mask] = candidates[torch.stack([order[i] for i in range(int(mask.sum()))])] if mask.any() else moved[mask]
    return moved, mask


def says_that_all_dead_codes_were_restarted(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Where candidates run out, the rest of the dead codes stay as they are: the mask is False for them."""
    dead = counts < threshold
    return _restarted(codebook, torch.where(dead)[0], candidates[order])[0], dead


def uses_candidates_twice(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Two codes at one place are as good as one. Where candidates run out, the rest of the dead codes stay."""
    dead = torch.where(counts < threshold)[0]
    return _restarted(codebook, dead, candidates[order].repeat(len(codebook), 1))


def restarts_none_if_candidates_are_too_few(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """If there are too few candidates for all dead codes, restart as many as you can, in the order of the codes."""
    dead = torch.where(counts < threshold)[0]
    return _restarted(codebook, dead if len(dead) <= len(candidates) else dead[:0], candidates[order])


def restarts_the_rarest_first(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Dead is dead: go through them in the order of the codebook, and not of their counts."""
    rarest = counts.argsort(stable=True)
    return _restarted(codebook, rarest[counts[rarest] < threshold], candidates[order])


def says_which_codes_stayed(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """The codebook is right. The mask is True for the codes that were moved."""
    moved, mask = _restarted(codebook, torch.where(counts < threshold)[0], candidates[order])
    return moved, ~mask


def changes_the_codebook_it_was_given(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Write into a copy, `codebook.clone()`: whoever called you may still need the codebook as it was."""
    moved, mask = _restarted(codebook, torch.where(counts < threshold)[0], candidates[order])
    codebook.copy_(moved)
    return codebook, mask


def counts_the_dead_in_a_loop(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Right: code after code, and a number that goes up with each that is moved."""
    moved, restarted, number = codebook.clone(), torch.zeros_like(counts) > 0, 0
    for k, count in enumerate(counts):
        if count < threshold and number < len(order):
            moved[k], restarted[k] = candidates[order[number]], True
            number += 1
    return moved, restarted


def numbers_dead_codes_by_a_running_sum(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Right: without a loop or a list of indices. The running sum of the mask numbers the dead codes."""
    dead = counts < threshold
    number = dead.cumsum(0) - 1
    restarted = dead & (number < len(candidates))
    chosen = candidates[order[number.clamp(0, len(candidates) - 1)]]
    return torch.where(restarted[:, None], chosen, codebook), restarted


def writes_through_a_mask(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Restarted:
    """Right: take the dead that are too many out of the mask, then write through it."""
    restarted = torch.lt(counts, threshold)
    restarted[restarted.nonzero()[len(candidates) :, 0]] = False
    moved = codebook.clone()
    moved[restarted] = candidates.index_select(0, order)[: int(restarted.sum())]
    return moved, restarted


HINTS = (
    "Find the indices of the dead codes, at most as many as there are candidates. Shuffle the candidates with `order`, "
    "and give the first one to the first dead code, the second one to the second.",
    "`(counts < threshold).nonzero().squeeze(1)[:M]` are n indices, n ≤ M. `candidates[order[:n]]` [n, D] are the new "
    "codes: write them into a copy of the codebook, and True at the same indices of a mask that is False elsewhere.",
    """\
def restart_dead_codes(codebook, counts, candidates, threshold, order):
    dead = ...  # indices, at most as many as candidates
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = ...
    restarted[dead] = ...
    return moved, restarted
""",
)

EXERCISE = Exercise(
    id="vqgan.restart_dead_codes",
    points=3,
    minutes=15,
    stars=2,
    reference=restart_dead_codes,
    cases=cases,
    wrong=(
        restarts_the_codes_in_use,
        restarts_codes_at_the_threshold,
        restarts_only_codes_never_chosen,
        compares_shares_with_the_threshold,
        ignores_the_order,
        gives_all_dead_codes_the_same_candidate,
        numbers_all_codes_and_not_the_dead_ones,
        restarts_more_codes_than_there_are_candidates,
        says_that_all_dead_codes_were_restarted,
        uses_candidates_twice,
        restarts_none_if_candidates_are_too_few,
        restarts_the_rarest_first,
        says_which_codes_stayed,
        changes_the_codebook_it_was_given,
    ),
    also_right=(counts_the_dead_in_a_loop, numbers_dead_codes_by_a_running_sum, writes_through_a_mask),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_restart_dead_codes,
)
