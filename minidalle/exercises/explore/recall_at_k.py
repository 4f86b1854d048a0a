"""Exercise: is one of the k best right?"""

import torch
from torch import Tensor

from minidalle.evaluation.retrieval import recall_at_k
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.explore import probe_recall_at_k
from minidalle.runtime import numpy_generator

BEST_FIRST = {2: [1, 0], 4: [2, 3, 0, 1], 5: [4, 1, 3, 2, 0], 6: [4, 1, 5, 2, 0, 3], 7: [5, 2, 6, 0, 3, 1, 4]}
"""Number of things → where the best of them stands, the second, …; each further query's stand one place further on."""


def cases(seed: int) -> list[Case]:
    """From one query among two things to three among seven: several right ones or none, at places up to k and after.

    What is right is said by rank: [2, 5] are the second and the fifth best. A query's scores all differ, and its
    better half is positive. Only in one case all scores are equal: either thing may be taken for the better one, but
    for both queries the same, and each is right for one of them; so one query is found.
    """
    random = numpy_generator(seed, "explore.recall_at_k")

    def case(things: int, k: int, *ranks: list[int]) -> Case:
        scores = torch.zeros(len(ranks), things)
        right = torch.zeros(len(ranks), things, dtype=torch.bool)
        for query, right_ranks in enumerate(ranks):
            order = (torch.tensor(BEST_FIRST[things]) + query) % things
            steps = torch.from_numpy(random.integers(1, 9, things)).cumsum(0).flip(0).float()
            half = (things + 1) // 2
            scores[query, order] = (steps - steps[half - 1 : half + 1].mean()) / 64
            right[query, order[torch.tensor(right_ranks, dtype=torch.long) - 1]] = True
        return {"scores": scores, "right": right, "k": k}

    alike = torch.full((2, 2), int(random.integers(1, 64)) / 64)
    return [
        case(2, 1, [1]),
        case(2, 1, [2]),
        {"scores": alike, "right": torch.eye(2, dtype=torch.bool), "k": 1},
        case(4, 2, [2]),
        case(4, 2, [3]),
        case(5, 3, [1, 5], []),
        case(6, 2, [6], [1, 2], [2, 3]),
        case(7, 3, [2, 3, 7], [4], [1, 2, 3]),
        case(7, 7, [7], [], [3, 4]),
        case(7, 4, [4, 6], [5, 7], [1]),
    ]


def _places(scores: Tensor) -> Tensor:
    """What each thing's place is among its query's, 0 for the best."""
    return scores.argsort(dim=1, descending=True).argsort(dim=1)


def takes_the_smallest_scores(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Larger is better, and sorting begins with the smallest unless you say `descending=True`."""
    return right.gather(1, scores.argsort(dim=1)[:, :k]).any(1)


def takes_one_too_many(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """The k best have the places 0 to k − 1: `[:, :k]`."""
    return (right & (_places(scores) <= k)).any(1)


def takes_one_too_few(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """The k-th best belongs to them: `[:, :k]` ends before k, and counting begins with 0."""
    return (right & (_places(scores) < k - 1)).any(1)


def looks_only_at_place_k(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """All of the k best count, not only the last of them."""
    return (right & (_places(scores) == k - 1)).any(1)


def looks_only_at_the_best(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """One of the k best may be right: `argmax` sees only the first of them."""
    return (right & (_places(scores) == 0)).any(1)


def takes_the_first_k_as_they_stand(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Put `right` into the order of the scores first: its first k columns are any k things."""
    return right[:, :k].any(1)


def wants_all_k_to_be_right(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """One right thing among the k best is enough: `any`, not `all`."""
    return right.gather(1, scores.topk(k, dim=1).indices).all(1)


def wants_every_right_one_among_the_k(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """A query may have many right things. It is found if one of them is among the k best."""
    return ((_places(scores) < k) | ~right).all(1) & right.any(1)


def calls_a_query_without_right_ones_found(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Where nothing is right nothing can be found: False."""
    return (right & (_places(scores) < k)).any(1) | ~right.any(1)


def looks_for_one_right_thing_only(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """`right` may have several True in a row, and `argmax` gives you only the first. Ask for any of them."""
    first = right.long().argmax(1, keepdim=True)
    return (_places(scores).gather(1, first) < k)[:, 0] & right.any(1)


def wants_the_best_one_to_be_wrong(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """The best thing is one of the k best, too: begin at place 0."""
    places = _places(scores)
    return (right & (places < k) & (places > 0)).any(1)


def takes_positive_scores_for_found(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Not how large a score is decides, but its place among the others of its query."""
    return (right & (scores > 0)).any(1)


def looks_among_all_queries_together(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Each query has k best of its own: sort along dim 1, row by row, not all numbers together."""
    least = scores.flatten().topk(k).values.min()
    return (right & (scores >= least)).any(1)


def mixes_up_place_and_thing(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """`indices` says which thing stands at each place. Use it to look up `right`, not to compare with k."""
    order = scores.argsort(dim=1, descending=True)
    return (right & (order < k)).any(1)


def returns_the_mean(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Return one True or False for each query, [B]. Whoever wants the mean takes it afterwards."""
    return right.gather(1, scores.topk(k, dim=1).indices).any(1).float().mean()


def knows_only_the_first_right_thing(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """`argmax` of `right` is one right thing, and thing 0 where there is none: look at all of them."""
    return (scores.topk(k, dim=1).indices == right.float().argmax(1, keepdim=True)).any(1)


def wants_all_right_ones_found(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """One right thing among the k best is enough, and a query without right things finds none."""
    return right.gather(1, scores.topk(k, dim=1).indices).sum(1) == right.sum(1)


def multiplies_scores_by_right(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """A wrong thing then has score 0, which beats negative scores. Find the k best first, then ask what is right."""
    return (scores * right).max(1).values >= scores.sort(dim=1, descending=True).values[:, k - 1]


def lets_right_things_win_ties(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """With equal scores more than k things are as good as the k-th. Sort, and the k best are k things, right or not."""
    kth = scores.sort(dim=1, descending=True).values[:, k - 1 : k]
    return ((scores >= kth) & right).any(1)


def lets_wrong_things_win_ties(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """With equal scores a right thing may be one of the k best: sort without a look at `right`, and take k things."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return ((scores >= best).sum(1) <= k) & right.any(1)


def goes_query_by_query(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Right: loops and lists."""
    found = []
    for numbers, truths in zip(scores.tolist(), right.tolist(), strict=True):
        order = sorted(range(len(numbers)), key=numbers.__getitem__, reverse=True)
        found.append(any(truths[thing] for thing in order[:k]))
    return torch.tensor(found, device=scores.device)


def lets_torch_take_the_best(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Right: `topk` instead of sorting everything."""
    return torch.gather(right, 1, torch.topk(scores, k, dim=1).indices).sum(1) > 0


def takes_the_best_away(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Right, without sorting: k times the best thing that is left."""
    left, found = scores.clone(), scores.new_zeros(len(scores), dtype=torch.bool)
    for _ in range(k):
        best = left.argmax(1, keepdim=True)
        found |= right.gather(1, best)[:, 0]
        left.scatter_(1, best, -torch.inf)
    return found


def takes_the_last_of_equal_ones(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Right: of equal scores the last one is better."""
    order = scores.argsort(dim=1, stable=True)
    return right.gather(1, order[:, -k:]).any(1)


HINTS = (
    "For each query, put the things in order, best first, and look at the first k of them. The query is found if one "
    "of these is right.",
    "`scores.sort(dim=1, descending=True, stable=True).indices` [B, R]: which thing is at each place; its first k are "
    "the k best. `right.gather(1, best)` looks these things up in `right`, row by row: [B, k]. `.any(1)` asks whether "
    "one of a row is True.",
    """\
def recall_at_k(scores, right, k):
    order = scores.sort(dim=..., descending=..., stable=True).indices  # [B, R]
    best = order[...]  # [B, k]
    return right.gather(1, ...).any(...)
""",
)

EXERCISE = Exercise(
    id="explore.recall_at_k",
    points=3,
    minutes=15,
    stars=2,
    reference=recall_at_k,
    cases=cases,
    wrong=(
        takes_the_smallest_scores,
        takes_one_too_many,
        takes_one_too_few,
        looks_only_at_place_k,
        looks_only_at_the_best,
        takes_the_first_k_as_they_stand,
        wants_all_k_to_be_right,
        wants_every_right_one_among_the_k,
        calls_a_query_without_right_ones_found,
        looks_for_one_right_thing_only,
        wants_the_best_one_to_be_wrong,
        takes_positive_scores_for_found,
        looks_among_all_queries_together,
        mixes_up_place_and_thing,
        returns_the_mean,
        knows_only_the_first_right_thing,
        wants_all_right_ones_found,
        multiplies_scores_by_right,
        lets_right_things_win_ties,
        lets_wrong_things_win_ties,
    ),
    also_right=(
        goes_query_by_query,
        lets_torch_take_the_best,
        takes_the_best_away,
        takes_the_last_of_equal_ones,
    ),
    hints=HINTS,
    reaches="concept_recall",
    probe=probe_recall_at_k,
)
