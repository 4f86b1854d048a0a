"""Exercise: bags of words as directions, rare words first."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from minidalle.evaluation.retrieval import tfidf
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.explore import probe_tfidf
from minidalle.runtime import numpy_generator


def cases(seed: int) -> list[Case]:
    """One word, a frequent and a rare one, a word twice, a word in every caption, a row without words, a larger one."""
    random = numpy_generator(seed, "explore.tfidf")
    n = int(random.integers(30, 60))
    rare, often, more = (int(random.integers(low, low + 5)) for low in (2, 12, 20))

    def case(counts: list[list[int]], captions_with: list[int]) -> Case:
        bags = torch.tensor(counts, dtype=torch.float32)
        return {"counts": bags, "captions_with": torch.tensor(captions_with, dtype=torch.float32), "captions": n}

    some = random.integers(0, 3, (3, 5)).tolist()
    return [
        case([[1]], [rare]),
        case([[1, 1]], [rare, often]),
        case([[2, 1]], [often, rare]),
        case([[1, 1, 0], [0, 1, 3]], [n, rare, more]),
        case([[1, 2], [0, 0]], [rare, more]),
        case([[1, 0, 1], [1, 1, 0], [0, 2, 2]], [often, n, rare]),
        case([*some, [1, 0, 2, 0, 1]], [rare, often, n, more, 1]),
    ]


def _rarity(captions_with: Tensor, captions: int) -> Tensor:
    return torch.log((captions + 1) / (captions_with + 1)) + 1


def _unit(rows: Tensor) -> Tensor:
    return normalize(rows, dim=1)


def forgets_the_rarity(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Multiply each count by its word's rarity before you divide by the length."""
    return _unit(counts)


def forgets_the_length(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Divide every row by its length, or a caption of many words is like everything."""
    return counts * _rarity(captions_with, captions)


def makes_rows_sum_to_1(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The length of a row is the root of the sum of its squares (Euclid), not the sum of its numbers."""
    return normalize(counts * _rarity(captions_with, captions), p=1, dim=1)


def forgets_the_root(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The length is the square root of the sum of squares. Yours is the sum of squares."""
    weighted = counts * _rarity(captions_with, captions)
    return weighted / weighted.square().sum(1, keepdim=True).clamp(min=1e-9)


def weighs_frequent_words_more(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The fraction is upside down: captions above, captions_with below, so that a rare word has the larger number."""
    return _unit(counts * (torch.log((1 + captions_with) / (1 + captions)) + 1))


def divides_by_the_rarity(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Rare words count more: multiply by the rarity."""
    return _unit(counts / _rarity(captions_with, captions))


def takes_no_logarithm(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Take the natural logarithm of the fraction; without it one rare word outweighs all others."""
    return _unit(counts * ((1 + captions) / (1 + captions_with) + 1))


def takes_the_logarithm_to_base_10(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """ln is the natural logarithm: `torch.log` or `.log()`, not `log10`."""
    return _unit(counts * (torch.log10((1 + captions) / (1 + captions_with)) + 1))


def forgets_the_1_after_the_logarithm(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Add 1 to the logarithm: a word that all captions have would count nothing otherwise."""
    return _unit(counts * (_rarity(captions_with, captions) - 1))


def adds_the_1_inside_of_the_logarithm(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The last 1 is added to the logarithm, not to the fraction inside of it. Mind the brackets."""
    return _unit(counts * torch.log((1 + captions) / (1 + captions_with) + 1))


def does_not_smooth(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Above and below in the fraction stands 1 + …, as if one more caption had every word."""
    return _unit(counts * (torch.log(captions / captions_with) + 1))


def smooths_only_below(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """1 is added above, too: (1 + captions) / (1 + captions_with)."""
    return _unit(counts * (torch.log(captions / (1 + captions_with)) + 1))


def asks_only_whether_a_word_is_there(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """A word that stands twice in a caption counts twice: multiply the counts, not whether they are above 0."""
    return _unit((counts > 0) * _rarity(captions_with, captions))


def divides_0_by_0(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """A caption without a known word has length 0, and 0 / 0 is nan. Keep the divisor above 0: `clamp(min=1e-9)`."""
    weighted = counts * _rarity(captions_with, captions)
    return weighted / weighted.norm(dim=1, keepdim=True)


def measures_the_columns(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Every row, a caption, gets length 1. You have measured along dim 0, word by word; dim 1 runs along a row."""
    return normalize(counts * _rarity(captions_with, captions), dim=0)


def measures_all_rows_together(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Each row has a length of its own: `norm(dim=1, keepdim=True)`. Yours is one number for all rows."""
    weighted = counts * _rarity(captions_with, captions)
    return weighted / weighted.norm().clamp(min=1e-9)


def measures_before_it_weighs(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """First the rarity, then the length: rows have length 1 in the end."""
    return _unit(counts) * _rarity(captions_with, captions)


def counts_the_rows_it_is_given(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """How rare a word is was counted in the whole collection: use `captions_with`, not the rows of `counts`."""
    return _unit(counts * _rarity((counts > 0).sum(0), len(counts)))


def takes_the_number_of_rows_for_captions(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """`captions` is how many the whole collection has; len(counts) is only how many rows you were given."""
    return _unit(counts * _rarity(captions_with, len(counts)))


def adds_the_rarity(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Multiply each count by its word's rarity: where it is added, words that are not there count, too."""
    return _unit(counts + _rarity(captions_with, captions))


def adds_1_to_the_length(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The length is what it is, so that rows become 1 long; only a row without words needs care."""
    weighted = counts * _rarity(captions_with, captions)
    return weighted / (weighted.norm(dim=1, keepdim=True) + 1)


def counts_captions_in_this_batch(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """How many captions have a word is given, `captions_with`: the rows of `counts` are only some captions."""
    return _unit(counts * _rarity((counts > 0).sum(0), captions))


def rounds_to_two_places(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """The example shows two places to be short. Return the numbers as they are."""
    return (_unit(counts * _rarity(captions_with, captions)) * 100).round() / 100


def goes_word_by_word(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Right: loops, and `math`."""
    rarity = [math.log((1 + captions) / (1 + number)) + 1 for number in captions_with.tolist()]
    rows = []
    for row in counts.tolist():
        weighted = [count * rare for count, rare in zip(row, rarity, strict=True)]
        length = math.sqrt(sum(weight * weight for weight in weighted))
        rows.append([weight / length if length else 0.0 for weight in weighted])
    return torch.tensor(rows, device=counts.device)


def lets_torch_normalize(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Right: the logarithm of a fraction is a difference, and `normalize` divides by the length."""
    return normalize(counts * (1 + math.log(1 + captions) - torch.log1p(captions_with)), dim=1)


def writes_only_rows_with_words(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Right: rows of zeros stay, the others are divided by the root of their squares."""
    result = counts * torch.diag(torch.log((1 + captions) / (1 + captions_with)) + 1).sum(0)
    there = result.abs().sum(1) > 0
    result[there] /= result[there].pow(2).sum(1, keepdim=True).sqrt()
    return result


HINTS = (
    "Two steps. First make each word's number larger the fewer captions have it; then make every row equally long, "
    "so that only its direction is left, and a long caption is no better than a short one.",
    "rarity = ln((1 + captions) / (1 + captions_with)) + 1, one number for each of the W words. counts × rarity is "
    "still [B, W]. Its rows have the lengths `.norm(dim=1, keepdim=True)`, [B, 1]; where one is 0, divide by something "
    "small instead: `.clamp(min=1e-9)`.",
    """\
def tfidf(counts, captions_with, captions):
    rarity = (...).log() + ...  # [W]
    weighted = ...  # [B, W]
    lengths = weighted.norm(dim=..., keepdim=True)  # [B, 1]
    return weighted / lengths.clamp(min=...)
""",
)

EXERCISE = Exercise(
    id="explore.tfidf",
    points=4,
    minutes=20,
    stars=2,
    reference=tfidf,
    cases=cases,
    wrong=(
        forgets_the_rarity,
        forgets_the_length,
        makes_rows_sum_to_1,
        forgets_the_root,
        weighs_frequent_words_more,
        divides_by_the_rarity,
        takes_no_logarithm,
        takes_the_logarithm_to_base_10,
        forgets_the_1_after_the_logarithm,
        adds_the_1_inside_of_the_logarithm,
        does_not_smooth,
        smooths_only_below,
        asks_only_whether_a_word_is_there,
        divides_0_by_0,
        measures_the_columns,
        measures_all_rows_together,
        measures_before_it_weighs,
        counts_the_rows_it_is_given,
        takes_the_number_of_rows_for_captions,
        adds_the_rarity,
        adds_1_to_the_length,
        counts_captions_in_this_batch,
        rounds_to_two_places,
    ),
    also_right=(goes_word_by_word, lets_torch_normalize, writes_only_rows_with_words),
    hints=HINTS,
    reaches="nearest_caption_rows",
    probe=probe_tfidf,
    tolerance=1e-5,
)
