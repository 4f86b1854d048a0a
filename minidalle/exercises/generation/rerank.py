"""Exercise: the candidates that fit their caption best."""

import torch
from torch import Tensor

from minidalle.clip.contrast import rerank
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_rerank
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """One caption; two of them; equals, at the edge and all; opposites; all candidates in their order; more."""
    chance = generator(seed, "generation.rerank")

    def mixed(values: Tensor) -> Tensor:
        return values[torch.randperm(len(values), generator=chance)]

    def drawn(rows: int, candidates: int, low: int = 5, high: int = 95) -> Tensor:
        """Hundredths, those of a row all different."""
        hundredths = torch.arange(low, high, 3)
        return torch.stack([mixed(hundredths)[:candidates] for _ in range(rows)]) / 100

    def rising(candidates: int) -> Tensor:
        return drawn(1, candidates).sort().values[0]

    edge, equal = mixed(rising(4)[[1, 2, 2, 2]]), rising(1).repeat(3)
    return [
        {"similarity": rising(3)[[0, 2, 1]].unsqueeze(0), "keep": 1},
        {"similarity": rising(3)[[1, 0, 2]].unsqueeze(0), "keep": 2},
        {"similarity": torch.stack([rising(4)[[1, 3, 0, 2]], rising(4)[[2, 0, 3, 1]]]), "keep": 2},
        {"similarity": torch.stack([edge, rising(4)[[3, 1, 2, 0]]]), "keep": 2},
        {"similarity": equal.unsqueeze(0), "keep": 2},
        {"similarity": drawn(1, 4, -90, 20) - torch.tensor([0.0, 0.5, 0.0, 0.5]), "keep": 2},
        {"similarity": drawn(2, 3), "keep": 3},
        {"similarity": drawn(3, 2, -40, 60), "keep": 1},
        {"similarity": drawn(4, 8, -60, 90), "keep": 5},
    ]


def _best_first(similarity: Tensor) -> Tensor:
    return similarity.argsort(dim=1, descending=True, stable=True)


def keeps_the_worst(similarity: Tensor, keep: int) -> Tensor:
    """A large similarity is a good fit: sort with `descending=True`."""
    return similarity.argsort(dim=1, stable=True)[:, :keep]


def returns_the_best_one_last(similarity: Tensor, keep: int) -> Tensor:
    """The right ones, but the best has to come first."""
    return _best_first(similarity)[:, :keep].flip(1)


def returns_them_as_they_were_drawn(similarity: Tensor, keep: int) -> Tensor:
    """The right ones, but in the order of their places: the best has to come first."""
    return _best_first(similarity)[:, :keep].sort(dim=1).values


def gives_each_candidate_its_rank(similarity: Tensor, keep: int) -> Tensor:
    """You say how good each of the first candidates is. Asked is which candidate is best, and which comes next."""
    return _best_first(similarity).argsort(dim=1)[:, :keep]


def returns_the_similarities(similarity: Tensor, keep: int) -> Tensor:
    """Return the places of the best, so that their pictures can be found: `argsort`, or `.indices`."""
    return similarity.sort(dim=1, descending=True, stable=True).values[:, :keep]


def prefers_the_later_of_equals(similarity: Tensor, keep: int) -> Tensor:
    """Of equals, the earlier one comes first: sort with `stable=True`, and flip nothing afterwards."""
    return similarity.argsort(dim=1, stable=True).flip(1)[:, :keep]


def sorts_down_the_columns(similarity: Tensor, keep: int) -> Tensor:
    """That compares captions. The candidates of one caption lie in its row: `dim=1`."""
    order = similarity.argsort(dim=0, descending=True, stable=True)
    return order[:, :keep]


def takes_the_order_of_the_first_caption_for_all(similarity: Tensor, keep: int) -> Tensor:
    """Each caption has candidates of its own, and an order of its own: a row each."""
    return _best_first(similarity[:1]).expand_as(similarity)[:, :keep].clone()


def takes_one_order_for_all_captions(similarity: Tensor, keep: int) -> Tensor:
    """What fits the captions best on average fits none of them: a row each."""
    return _best_first(similarity.mean(dim=0, keepdim=True)).expand_as(similarity)[:, :keep].clone()


def compares_a_candidate_with_those_of_other_captions(similarity: Tensor, keep: int) -> Tensor:
    """Only the candidates of one caption are compared, by their similarity as it is: leave the other rows out."""
    return _best_first(similarity.softmax(dim=0))[:, :keep]


def counts_through_all_captions(similarity: Tensor, keep: int) -> Tensor:
    """A place is counted within its row, from 0 to C − 1, and not through the whole table."""
    rows = torch.arange(len(similarity), device=similarity.device).unsqueeze(1)
    return _best_first(similarity)[:, :keep] + similarity.shape[1] * rows


def counts_from_1(similarity: Tensor, keep: int) -> Tensor:
    """Places are counted from 0, as Python does: return what `argsort` says."""
    return _best_first(similarity)[:, :keep] + 1


def takes_opposites_for_fitting(similarity: Tensor, keep: int) -> Tensor:
    """A cosine of −0.8 is a bad fit, worse than 0: no absolute value, no square."""
    return _best_first(similarity.abs())[:, :keep]


def keeps_the_first_ones(similarity: Tensor, keep: int) -> Tensor:
    """Those are the first that were drawn, not the best."""
    return torch.arange(keep, device=similarity.device).expand(len(similarity), keep).clone()


def repeats_the_best(similarity: Tensor, keep: int) -> Tensor:
    """Each candidate is kept once: the best, then the second best, and so on."""
    return similarity.argmax(dim=1, keepdim=True).repeat(1, keep)


def leaves_the_best_out(similarity: Tensor, keep: int) -> Tensor:
    """The best is at place 0 of the sorted ones: begin there, `[:, :keep]`."""
    return _best_first(similarity).roll(-1, dims=1)[:, :keep]


def sorts_what_is_negated(similarity: Tensor, keep: int) -> Tensor:
    """Right: the smallest of −x is the largest of x."""
    return (-similarity).sort(dim=-1, stable=True).indices.narrow(1, 0, keep)


def by_the_sorting_of_python(similarity: Tensor, keep: int) -> Tensor:
    """Right: row by row; Python's sorting leaves equals in their order."""
    best = [sorted(range(len(row)), key=lambda place: -row[place])[:keep] for row in similarity.tolist()]
    return torch.tensor(best, device=similarity.device)


def one_after_the_other(similarity: Tensor, keep: int) -> Tensor:
    """Right: find the best, take it out, and look again."""
    left, found = similarity.clone(), []
    for _ in range(keep):
        found.append(left.argmax(dim=1))
        left.scatter_(1, found[-1].unsqueeze(1), -torch.inf)
    return torch.stack(found, dim=1)


HINTS = (
    "Line the candidates of each caption up, best first, and note where each stood before. Then keep the beginning of "
    "each line.",
    "`argsort` says which place is first, which second …; it takes the dimension, `descending=True` for the largest "
    "first, and `stable=True`, which leaves equals in their order. Of its result [B, C], keep the first columns.",
    """\
def rerank(similarity, keep):
    order = similarity.argsort(dim=..., descending=..., stable=True)  # [B, C]
    return order[...]
""",
)

EXERCISE = Exercise(
    id="generation.rerank",
    points=1,
    minutes=5,
    stars=1,
    reference=rerank,
    cases=cases,
    wrong=(
        keeps_the_worst,
        returns_the_best_one_last,
        returns_them_as_they_were_drawn,
        gives_each_candidate_its_rank,
        returns_the_similarities,
        prefers_the_later_of_equals,
        sorts_down_the_columns,
        takes_the_order_of_the_first_caption_for_all,
        takes_one_order_for_all_captions,
        compares_a_candidate_with_those_of_other_captions,
        counts_through_all_captions,
        counts_from_1,
        takes_opposites_for_fitting,
        keeps_the_first_ones,
        repeats_the_best,
        leaves_the_best_out,
    ),
    also_right=(sorts_what_is_negated, by_the_sorting_of_python, one_after_the_other),
    hints=HINTS,
    reaches="draw_best",
    probe=probe_rerank,
)
