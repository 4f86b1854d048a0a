"""Exercise: rule out all but the k largest logits."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_top_k_filter
from minidalle.runtime import generator
from minidalle.sampling import top_k_filter


def cases(seed: int) -> list[Case]:
    """One row, two; a tie at the k-th and one above it; k of all and more; below 0; a batch; some ruled out before."""
    chance = generator(seed, "generation.top_k_filter")

    def mixed(values: Tensor) -> Tensor:
        return values[torch.randperm(len(values), generator=chance)]

    def drawn(*shape: int, high: int = 20) -> Tensor:
        """Halves from `high` / 2 down, those of a row all different."""
        count = torch.Size(shape[:-1]).numel()
        rows = [(high - torch.randperm(20, generator=chance)[: shape[-1]]) / 2 for _ in range(count)]
        return torch.stack(rows).reshape(shape)

    lift = torch.randint(1, 9, (), generator=chance) / 2
    at_the_kth = mixed(torch.tensor([3.0, 1.0, 1.0, 1.0, -2.0])) * lift
    above_it = mixed(torch.tensor([4.0, 4.0, 2.0, -1.0, -3.0])) * lift
    uneven = drawn(2, 5) + torch.tensor([[20.0], [0.0]])[torch.randperm(2, generator=chance)]
    off = mixed(torch.cat([drawn(3, high=9), torch.full((3,), -torch.inf)]))
    return [
        {"logits": drawn(4).sort().values[[1, 0, 3, 2]], "k": 2},
        {"logits": mixed(torch.tensor([5.0, 1.0, -3.0]) * lift), "k": 1},
        {"logits": uneven, "k": 2},
        {"logits": at_the_kth, "k": 2},
        {"logits": above_it, "k": 3},
        {"logits": drawn(2, 3), "k": 3},
        {"logits": drawn(4, high=5), "k": 7},
        {"logits": drawn(2, 2, 6, high=-1), "k": 3},
        {"logits": off, "k": 4},
        {"logits": drawn(3, 8), "k": 5},
    ]


def _kth(logits: Tensor, k: int) -> Tensor:
    """The k-th largest of each row, [..., 1]."""
    return logits.topk(min(k, logits.shape[-1])).values[..., -1:]


def _ranks(logits: Tensor) -> Tensor:
    """How many of its row come before each logit, the first of equals first."""
    return logits.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)


def puts_zeros(logits: Tensor, k: int) -> Tensor:
    """A logit of 0 still has a chance, and beats all that are below 0. What has no chance at all is −inf."""
    return logits.masked_fill(logits < _kth(logits, k), 0.0)


def puts_a_large_negative_number(logits: Tensor, k: int) -> Tensor:
    """Probability 0 is what −inf means, and only that: `float("-inf")`."""
    return logits.masked_fill(logits < _kth(logits, k), -1e9)


def rules_the_kth_out_too(logits: Tensor, k: int) -> Tensor:
    """k tokens are to stay, and the k-th largest is one of them: rule out what is smaller than it, with `<`."""
    return logits.masked_fill(logits <= _kth(logits, k), -torch.inf)


def keeps_one_too_many(logits: Tensor, k: int) -> Tensor:
    """Places are counted from 0: the k-th largest is at place k − 1 of the sorted logits."""
    return logits.masked_fill(logits < _kth(logits, k + 1), -torch.inf)


def keeps_one_too_few(logits: Tensor, k: int) -> Tensor:
    """You compare with one before the k-th: with k = 2 a single token is left."""
    return logits.masked_fill(logits < _kth(logits, max(k - 1, 1)), -torch.inf)


def breaks_ties(logits: Tensor, k: int) -> Tensor:
    """What equals the k-th largest stays, too, though more than k are left: compare values, not places."""
    return logits.masked_fill(_ranks(logits) >= k, -torch.inf)


def counts_equal_logits_once(logits: Tensor, k: int) -> Tensor:
    """Two equal logits are two tokens: sort them all, and leave out none."""
    rows = logits.reshape(-1, logits.shape[-1])
    smallest = torch.stack([row.unique().flip(0)[:k][-1] for row in rows]).view(*logits.shape[:-1], 1)
    return logits.masked_fill(logits < smallest, -torch.inf)


def keeps_the_smallest(logits: Tensor, k: int) -> Tensor:
    """The likely tokens are those with large logits: keep the largest."""
    largest = logits.topk(min(k, logits.shape[-1]), largest=False).values[..., -1:]
    return logits.masked_fill(logits > largest, -torch.inf)


def compares_with_the_kth_smallest(logits: Tensor, k: int) -> Tensor:
    """`sort` begins with the smallest. The k-th largest is the k-th from the end, or of `descending=True`."""
    place = min(k, logits.shape[-1]) - 1
    return logits.masked_fill(logits < logits.sort(dim=-1).values[..., place, None], -torch.inf)


def rules_out_the_largest(logits: Tensor, k: int) -> Tensor:
    """The comparison is the wrong way around: what is smaller than the k-th largest goes."""
    return logits.masked_fill(logits >= _kth(logits, k), -torch.inf)


def compares_with_the_kth_as_they_stand(logits: Tensor, k: int) -> Tensor:
    """The k-th logit is not the k-th largest: sort first, or let `topk` do it."""
    return logits.masked_fill(logits < logits[..., :k][..., -1:], -torch.inf)


def keeps_the_first_k(logits: Tensor, k: int) -> Tensor:
    """The first k are not the largest k. Which logits are large?"""
    return logits.masked_fill(torch.arange(logits.shape[-1], device=logits.device) >= k, -torch.inf)


def takes_the_k_largest_of_the_batch(logits: Tensor, k: int) -> Tensor:
    """Each row keeps its own k: along the last dimension, not of all numbers together."""
    return logits.masked_fill(logits < _kth(logits.flatten(), k), -torch.inf)


def compares_down_the_columns(logits: Tensor, k: int) -> Tensor:
    """Tokens lie along the last dimension: that is where the k largest are to be found, `dim=-1`."""
    bound = logits.topk(min(k, len(logits)), dim=0).values[-1:]
    return logits.masked_fill(logits < bound, -torch.inf)


def returns_them_sorted(logits: Tensor, k: int) -> Tensor:
    """A token is known by its place, so no logit may move: compare the logits as they stand with the k-th largest."""
    ordered = logits.sort(dim=-1, descending=True).values
    return ordered.masked_fill(ordered < _kth(logits, k), -torch.inf)


def returns_probabilities(logits: Tensor, k: int) -> Tensor:
    """What comes after takes logits: leave the softmax to it."""
    return logits.masked_fill(logits < _kth(logits, k), -torch.inf).softmax(-1)


def cannot_keep_more_than_there_are(logits: Tensor, k: int) -> Tensor:
    """k may be larger than the number of tokens, and keeps all then: `min(k, …)`."""
    return logits.masked_fill(logits < logits.topk(k).values[..., -1:], -torch.inf)


def changes_the_logits_it_was_given(logits: Tensor, k: int) -> Tensor:
    """Writing to `logits[…]`, as `masked_fill_` does, changes the tensor of whoever called you: make a new one."""
    return logits.masked_fill_(logits < _kth(logits, k), -torch.inf)


def by_sorting(logits: Tensor, k: int) -> Tensor:
    """Right: sort, look at place k − 1, and choose with `where`."""
    ordered = logits.sort(dim=-1, descending=True).values
    last = ordered[..., min(k, logits.shape[-1]) - 1].unsqueeze(-1)
    return torch.where(logits >= last, logits, float("-inf"))


def counts_the_larger_ones(logits: Tensor, k: int) -> Tensor:
    """Right: a token stays if fewer than k of its row are larger."""
    larger = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(-1)
    kept = logits.clone()
    kept[larger >= k] = -torch.inf
    return kept


def row_by_row(logits: Tensor, k: int) -> Tensor:
    """Right: each row on its own, with Python's own sorting."""
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    bounds = [sorted(row)[-k:][0] for row in rows]
    kept = [[one if one >= bound else -torch.inf for one in row] for row, bound in zip(rows, bounds, strict=True)]
    return torch.tensor(kept, dtype=logits.dtype, device=logits.device).reshape(logits.shape)


HINTS = (
    "Find the smallest logit of each row that may still stay, the k-th largest. All that are smaller than it are ruled "
    "out, and nothing moves from its place.",
    "`logits.topk(k).values` [..., k] has the k largest of each row, largest first, so the bound is the last of them: "
    "keep the dimension, [..., 1]. Then `masked_fill` with −inf where logits < bound. k is at most K for `topk`.",
    """\
def top_k_filter(logits, k):
    k = min(k, ...)
    bound = logits.topk(k).values[..., ...]  # [..., 1]
    return logits.masked_fill(..., float("-inf"))
""",
)

EXERCISE = Exercise(
    id="generation.top_k_filter",
    points=2,
    minutes=10,
    stars=1,
    reference=top_k_filter,
    cases=cases,
    wrong=(
        puts_zeros,
        puts_a_large_negative_number,
        rules_the_kth_out_too,
        keeps_one_too_many,
        keeps_one_too_few,
        breaks_ties,
        counts_equal_logits_once,
        keeps_the_smallest,
        compares_with_the_kth_smallest,
        rules_out_the_largest,
        compares_with_the_kth_as_they_stand,
        keeps_the_first_k,
        takes_the_k_largest_of_the_batch,
        compares_down_the_columns,
        returns_them_sorted,
        returns_probabilities,
        cannot_keep_more_than_there_are,
        changes_the_logits_it_was_given,
    ),
    also_right=(by_sorting, counts_the_larger_ones, row_by_row),
    hints=HINTS,
    reaches="TextToImage.draw",
    forbid=("transformers",),
    probe=probe_top_k_filter,
)
