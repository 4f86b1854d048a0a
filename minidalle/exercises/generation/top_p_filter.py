"""Exercise: rule out all but the fewest likely tokens that have probability p together."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_top_p_filter
from minidalle.runtime import generator
from minidalle.sampling import top_p_filter

SHARES = {
    3: [55, 30, 15],
    4: [60, 22, 12, 6],
    5: [40, 28, 16, 10, 6],
    6: [32, 26, 20, 12, 6, 4],
}
"""Probabilities in percent; any two sums of the first few are far apart, so that rounding decides nothing."""


def cases(seed: int) -> list[Case]:
    """Two of three; one; three of five, unlikely ones too; rows; a batch; equals, exactly p; nearly all at one; 1."""
    chance = generator(seed, "generation.top_p_filter")

    def mixed(values: Tensor) -> Tensor:
        return values[torch.randperm(len(values), generator=chance)]

    def shift() -> Tensor:
        """Logits are not normalized: the same number on all of them changes no probability. A half, to be exact."""
        return torch.randint(2, 9, (), generator=chance) / 2

    def row(size: int) -> Tensor:
        near = torch.tensor(SHARES[size]) + torch.rand(size, generator=chance)
        return mixed((near / near.sum()).log()) + shift()

    def up_to(size: int, kept: int) -> float:
        """A p between the sum of the first `kept` − 1 shares and that of the first `kept`, nearer to neither."""
        before, after = sum(SHARES[size][: kept - 1]), sum(SHARES[size][:kept])
        return (before + after) / 200

    sharp = row(4) * 3
    off = mixed(torch.cat([row(4), torch.full((2,), -torch.inf)]))
    equal = mixed(torch.tensor([0.0, 0.0, 0.0, 0.0, -torch.inf])) + shift()
    return [
        {"logits": row(3), "p": up_to(3, 2)},
        {"logits": row(4), "p": up_to(4, 1)},
        {"logits": row(5).sort().values[[1, 3, 0, 4, 2]], "p": up_to(5, 3)},
        {"logits": torch.stack([sharp, row(4)])[torch.randperm(2, generator=chance)], "p": up_to(4, 3)},
        {"logits": equal, "p": 0.5},
        {"logits": torch.tensor([0.0, 9.0, -20.0])[torch.randperm(3, generator=chance)] + shift(), "p": 1.0},
        {"logits": off, "p": up_to(4, 2)},
        {"logits": torch.stack([row(6) for _ in range(4)]).view(2, 2, 6), "p": up_to(6, 4)},
        {"logits": torch.stack([row(5) for _ in range(3)]), "p": up_to(5, 4)},
    ]


def _sums(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities from the largest to the smallest, their running sums, and the places they come from."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    return probability, probability.cumsum(-1), order


def _without(logits: Tensor, order: Tensor, ruled_out: Tensor) -> Tensor:
    """The logits without those that are ruled out, of which `order` tells the places."""
    return logits.masked_fill(torch.zeros_like(ruled_out).scatter(-1, order, ruled_out), -torch.inf)


def _unlikely(logits: Tensor, p: float) -> Tensor:
    """Which are ruled out."""
    probability, sums, order = _sums(logits)
    return _without(logits, order, (sums - probability >= p) & (p < 1)) == -torch.inf


def drops_the_token_that_crosses_p(logits: Tensor, p: float) -> Tensor:
    """Those that stay must reach p, and with the last one gone they do not: ask what was reached before each."""
    _, sums, order = _sums(logits)
    ruled_out = (sums > p) & (torch.arange(logits.shape[-1], device=logits.device) > 0)
    return _without(logits, order, ruled_out) if p < 1 else logits


def can_rule_everything_out(logits: Tensor, p: float) -> Tensor:
    """Where the likeliest token alone has more than p, it has to stay, or there is none left: ask what was reached
    before each token, which is 0 for the first."""
    _, sums, order = _sums(logits)
    return _without(logits, order, sums > p) if p < 1 else logits


def keeps_one_too_many(logits: Tensor, p: float) -> Tensor:
    """The token that reaches p is the last to stay. You keep the one after it as well."""
    probability, sums, order = _sums(logits)
    reached = sums - probability - probability.roll(1, dims=-1) >= p
    reached[..., 0] = False
    return _without(logits, order, reached) if p < 1 else logits


def wants_more_than_p(logits: Tensor, p: float) -> Tensor:
    """Where the sum is exactly p, that is enough, and the next one goes: `>=`."""
    probability, sums, order = _sums(logits)
    return _without(logits, order, sums - probability > p) if p < 1 else logits


def leaves_the_answer_in_sorted_order(logits: Tensor, p: float) -> Tensor:
    """Your list of who goes is in the order of the sorted logits. Take it back to where they came from: `scatter`."""
    probability, sums, _ = _sums(logits)
    return logits.masked_fill(sums - probability >= p, -torch.inf) if p < 1 else logits


def undoes_the_sorting_the_wrong_way(logits: Tensor, p: float) -> Tensor:
    """`gather` with the order sorts once more. To go back, scatter with it, or gather with its `argsort`."""
    probability, sums, order = _sums(logits)
    ruled_out = (sums - probability >= p).gather(-1, order)
    return logits.masked_fill(ruled_out, -torch.inf) if p < 1 else logits


def returns_them_sorted(logits: Tensor, p: float) -> Tensor:
    """A token is known by its place, so no logit may move: rule out in the logits as they came."""
    probability, sums, order = _sums(logits)
    return logits.gather(-1, order).masked_fill((sums - probability >= p) & (p < 1), -torch.inf)


def begins_with_the_unlikely(logits: Tensor, p: float) -> Tensor:
    """`sort` begins with the smallest. Add up from the likeliest on: `descending=True`."""
    ordered, order = logits.sort(dim=-1, stable=True)
    probability = ordered.softmax(-1)
    return _without(logits, order, probability.cumsum(-1) - probability >= p) if p < 1 else logits


def does_not_sort(logits: Tensor, p: float) -> Tensor:
    """The likeliest have to come first before you add up: sort."""
    probability = logits.softmax(-1)
    return logits.masked_fill(probability.cumsum(-1) - probability >= p, -torch.inf) if p < 1 else logits


def rules_out_the_likely(logits: Tensor, p: float) -> Tensor:
    """It is the others that have to go: those that come after p is reached."""
    return logits.masked_fill(~_unlikely(logits, p) & (p < 1), -torch.inf)


def keeps_p_of_the_unlikely(logits: Tensor, p: float) -> Tensor:
    """p is what stays, not what goes: with 1 − p you rule out far too much, or too little."""
    return logits.masked_fill(_unlikely(logits, 1 - p), -torch.inf) if p < 1 else logits


def compares_each_probability_with_p(logits: Tensor, p: float) -> Tensor:
    """p is for all that stay together: add the probabilities up, from the likeliest on."""
    probability = logits.softmax(-1)
    likeliest = probability == probability.amax(-1, keepdim=True)
    return logits.masked_fill((probability < p) & ~likeliest, -torch.inf) if p < 1 else logits


def compares_with_the_likeliest(logits: Tensor, p: float) -> Tensor:
    """That is another filter, min-p. Here it is a sum that has to reach p."""
    probability = logits.softmax(-1)
    return logits.masked_fill(probability < p * probability.amax(-1, keepdim=True), -torch.inf)


def keeps_a_share_of_the_tokens(logits: Tensor, p: float) -> Tensor:
    """p is a share of the probability, not of the tokens: how many that are is different in each row."""
    count = max(1, round(p * logits.shape[-1]))
    return logits.masked_fill(logits < logits.topk(count).values[..., -1:], -torch.inf)


def adds_logits_up(logits: Tensor, p: float) -> Tensor:
    """Only probabilities add up to 1: softmax before `cumsum`."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    return _without(logits, order, ordered.cumsum(-1) - ordered >= p) if p < 1 else logits


def does_not_normalize(logits: Tensor, p: float) -> Tensor:
    """e to the power of a logit is no probability yet: divide by the sum, or use softmax, which does both."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    return _without(logits, order, ordered.exp().cumsum(-1) - ordered.exp() >= p) if p < 1 else logits


def normalizes_the_whole_batch(logits: Tensor, p: float) -> Tensor:
    """Each row has probabilities of its own that add up to 1: softmax over the last dimension only."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.flatten().softmax(0).view_as(ordered)
    return _without(logits, order, probability.cumsum(-1) - probability >= p) if p < 1 else logits


def keeps_equals_of_the_last_one(logits: Tensor, p: float) -> Tensor:
    """As few as possible stay. Of equal ones the first stay, and the rest goes once p is reached: go by place."""
    last = logits.masked_fill(_unlikely(logits, p), torch.inf).amin(-1, keepdim=True)
    return logits.masked_fill(logits < last, -torch.inf)


def takes_1_like_any_other_p(logits: Tensor, p: float) -> Tensor:
    """1 keeps all, but rounding can make the sum 1 before the last token: give that case lines of its own."""
    probability, sums, order = _sums(logits)
    return _without(logits, order, sums - probability >= p)


def puts_zeros(logits: Tensor, p: float) -> Tensor:
    """A logit of 0 still has a chance. What has no chance at all is −inf."""
    return logits.masked_fill(_unlikely(logits, p), 0.0)


def returns_probabilities(logits: Tensor, p: float) -> Tensor:
    """What comes after takes logits: leave the softmax to it."""
    return logits.masked_fill(_unlikely(logits, p), -torch.inf).softmax(-1)


def with_the_places_of_places(logits: Tensor, p: float) -> Tensor:
    """Right: the sum before each is the sum of all so far, one place later; back by the `argsort` of the order."""
    _, sums, order = _sums(logits)
    before = torch.cat([torch.zeros_like(sums[..., :1]), sums[..., :-1]], dim=-1)
    kept = (before < p).gather(-1, order.argsort(dim=-1)) | (p == 1)
    return torch.where(kept, logits, float("-inf"))


def moves_the_sorted_logits_back(logits: Tensor, p: float) -> Tensor:
    """Right: rule out among the sorted ones, then put each back where it came from."""
    if p == 1:
        return logits.clone()
    ordered, order = torch.sort(logits, descending=True, stable=True)
    sums = ordered.softmax(-1).cumsum(-1)
    ordered[..., 1:] = ordered[..., 1:].masked_fill(sums[..., :-1] >= p, -torch.inf)
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def token_by_token(logits: Tensor, p: float) -> Tensor:
    """Right: row by row, the likeliest first, until they have p."""
    kept = torch.full_like(logits, -torch.inf)
    for row, out in zip(logits.reshape(-1, logits.shape[-1]), kept.view(-1, logits.shape[-1]), strict=True):
        probability, total = row.softmax(0).tolist(), 0.0
        for token in sorted(range(len(row)), key=lambda token: -row[token].item()):
            if total < p or p >= 1:
                out[token] = row[token]
                total += probability[token]
    return kept


HINTS = (
    "Sort the tokens, likeliest first, and walk along them with a running sum. A token stays if what was reached "
    "before it is less than p. At last, carry the answer back to the places where the tokens stood.",
    "With P the sorted probabilities, `P.cumsum(-1) - P` is the sum before each: 0 for the first. Out goes what has p "
    "or more before it. With `values, order = logits.sort(…)`, the token at sorted place i stood at order[i]: "
    "`scatter(-1, order, …)` writes it there.",
    """\
def top_p_filter(logits, p):
    if p >= 1:
        return ...
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ...
    ruled_out = ... >= p  # in sorted order
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, ..., ruled_out)
    return logits.masked_fill(ruled_out, float("-inf"))
""",
)

EXERCISE = Exercise(
    id="generation.top_p_filter",
    points=3,
    minutes=15,
    stars=3,
    reference=top_p_filter,
    cases=cases,
    wrong=(
        drops_the_token_that_crosses_p,
        can_rule_everything_out,
        keeps_one_too_many,
        wants_more_than_p,
        leaves_the_answer_in_sorted_order,
        undoes_the_sorting_the_wrong_way,
        returns_them_sorted,
        begins_with_the_unlikely,
        does_not_sort,
        rules_out_the_likely,
        keeps_p_of_the_unlikely,
        compares_each_probability_with_p,
        compares_with_the_likeliest,
        keeps_a_share_of_the_tokens,
        adds_logits_up,
        does_not_normalize,
        normalizes_the_whole_batch,
        keeps_equals_of_the_last_one,
        takes_1_like_any_other_p,
        puts_zeros,
        returns_probabilities,
    ),
    also_right=(with_the_places_of_places, moves_the_sorted_logits_back, token_by_token),
    hints=HINTS,
    reaches="TextToImage.draw",
    forbid=("transformers",),
    probe=probe_top_p_filter,
)
