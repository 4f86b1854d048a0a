"""Exercise: scaled dot-product attention."""

import math

import torch
from torch import Tensor

from minidalle.bart.attention import attend
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart import probe_attend
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """One query, two keys, no mask; then one; heads; a causal mask; padding; a query that may look nowhere."""
    chance = generator(seed, "bart.attend")

    def case(batch: int, heads: int, queries: int, keys: int, width: int, mask: Tensor | None) -> Case:
        def numbers(*shape: int) -> Tensor:
            return 1.5 * torch.randn(*shape, generator=chance)

        query, key = numbers(batch, heads, queries, width), numbers(batch, heads, keys, width)
        return {"query": query, "key": key, "value": numbers(batch, heads, keys, width) + 2, "mask": mask}

    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    padding = torch.tensor([[True, True, True, False], [True, False, False, False]])[:, None, None]
    nowhere = torch.tensor([[True, False, True], [False, False, False]])
    return [
        case(1, 1, 1, 2, 2, None),
        case(1, 1, 1, 3, 2, torch.tensor([[True, False, True]])),
        case(1, 2, 3, 3, 4, None),
        case(1, 1, 4, 4, 3, causal),
        case(2, 2, 4, 4, 3, padding),
        case(1, 2, 2, 3, 4, nowhere),
        case(2, 3, 5, 4, 8, None),
    ]


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT / math.sqrt(query.shape[-1])


def _masked(scores: Tensor, mask: Tensor | None, fill: float | None = None) -> Tensor:
    fill = torch.finfo(scores.dtype).min if fill is None else fill
    return scores if mask is None else scores.masked_fill(~mask, fill)


def forgets_the_scale(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Divide the scores by √d, d being the last dimension: else they grow with it, and softmax sees one key only."""
    return _masked(query @ key.mT, mask).softmax(-1) @ value


def divides_by_d(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """The scale is √d: the standard deviation of a sum of d products is √d, not d."""
    return _masked(query @ key.mT / query.shape[-1], mask).softmax(-1) @ value


def multiplies_by_the_root(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """*Divide* by √d: the scores are to become smaller."""
    return _masked(query @ key.mT * math.sqrt(query.shape[-1]), mask).softmax(-1) @ value


def scales_by_the_number_of_keys(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """d is the width of a query, the last dimension, not how many keys there are."""
    return _masked(query @ key.mT / math.sqrt(key.shape[-2]), mask).softmax(-1) @ value


def scales_by_the_whole_width(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """d is what *one head* has of a query, its last dimension, and not the features of all heads together."""
    width = query.shape[1] * query.shape[-1]
    return _masked(query @ key.mT / math.sqrt(width), mask).softmax(-1) @ value


def scales_after_the_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scale the scores, before the softmax: afterwards the shares of a query no longer sum to 1."""
    return _masked(query @ key.mT, mask).softmax(-1) / math.sqrt(query.shape[-1]) @ value


def shares_out_among_the_queries(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Each query's shares sum to 1 over the keys: softmax along the last dimension."""
    return _masked(_scores(query, key), mask).softmax(-2) @ value


def shares_out_among_the_heads(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """The heads know nothing of each other: softmax along the last dimension, the keys."""
    return _masked(_scores(query, key), mask).softmax(1) @ value


def forgets_the_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scores are not shares: they can be negative, and do not sum to 1. Take the softmax, then mix the values."""
    return _masked(_scores(query, key), mask, 0.0) @ value


def takes_the_best_key_only(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """All keys have a say, each with its share: softmax, not argmax."""
    best = _masked(_scores(query, key), mask).argmax(-1, keepdim=True)
    return torch.zeros_like(_scores(query, key)).scatter(-1, best, 1.0) @ value


def turns_the_mask_around(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """True = may look. Fill where the mask is *False*: `~mask`."""
    return _masked(_scores(query, key), None if mask is None else ~mask).softmax(-1) @ value


def ignores_the_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Where there is a mask, the keys that it forbids must get no share."""
    return _scores(query, key).softmax(-1) @ value


def masks_after_the_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """What is masked after the softmax has already taken its share from the others. Fill the *scores*."""
    shares = _scores(query, key).softmax(-1)
    return (shares if mask is None else shares * mask) @ value


def fills_with_zero(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """A score of 0 is an ordinary score, with a share of e⁰ = 1. A forbidden key needs the smallest number there is."""
    return _masked(_scores(query, key), mask, 0.0).softmax(-1) @ value


def fills_with_minus_one(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """−1 makes the share of a forbidden key smaller, not 0. Fill with the smallest number there is."""
    return _masked(_scores(query, key), mask, -1.0).softmax(-1) @ value


def adds_the_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Adding True and False adds 1 and 0. Use `masked_fill`, with the smallest number there is."""
    scores = _scores(query, key)
    return (scores if mask is None else scores + mask).softmax(-1) @ value


def adds_a_large_penalty(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """With −10,000 *added* the scores still count where nothing may be seen. Put the smallest number in their place."""
    scores = _scores(query, key)
    return (scores if mask is None else scores - 1e4 * ~mask).softmax(-1) @ value


def gives_zeros_where_nothing_may_be_seen(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Who may look nowhere is to get the mean of all values. Filled with `torch.finfo(scores.dtype).min` they do."""
    return _masked(_scores(query, key), mask, float("-inf")).softmax(-1).nan_to_num(0.0) @ value


def gives_nan_where_nothing_may_be_seen(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """A row of −inf only becomes nan. With `torch.finfo(scores.dtype).min` it stays finite: the plain mean."""
    return _masked(_scores(query, key), mask, float("-inf")).softmax(-1) @ value


def mixes_the_keys(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Keys say *how much*, values say *what*: the shares mix the values."""
    return _masked(_scores(query, key), mask).softmax(-1) @ key


def compares_the_values(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Queries are compared with keys; the values only come in at the end."""
    return _masked(_scores(query, value), mask).softmax(-1) @ value


def adds_the_query(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Only mix the values: what was there before is added in the layer, not here."""
    return query + _masked(_scores(query, key), mask).softmax(-1) @ value


def takes_the_softmax_twice(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """One softmax: a second one makes all shares almost equal."""
    return _masked(_scores(query, key), mask).softmax(-1).softmax(-1) @ value


def shares_by_sigmoid(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """A query's shares must sum to 1: softmax over its keys, not a sigmoid for each."""
    return _masked(_scores(query, key), mask).sigmoid() @ value


def lets_queries_and_keys_learn_nothing(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """The mix is right, but after `detach` nothing tells queries and keys where to look better: leave it out."""
    return _masked(_scores(query, key), mask).softmax(-1).detach() @ value


def by_einsum(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: every sum by the names of its dimensions."""
    scores = torch.einsum("bhtd,bhsd->bhts", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.full_like(scores, -1e30))
    return torch.einsum("bhts,bhsd->bhtd", scores.softmax(dim=3), value)


def by_exponentials(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: the softmax written out."""
    scores = query.matmul(key.transpose(2, 3)).div(math.sqrt(query.size(3)))
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), torch.finfo(scores.dtype).min)
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers @ value / powers.sum(-1, keepdim=True)


def head_by_head(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: loops over batch and heads."""
    size = (*query.shape[:2], query.shape[2], key.shape[2])
    allowed = query.new_ones(size, dtype=torch.bool) if mask is None else mask.expand(size)
    mixed = torch.zeros_like(query)
    for b in range(size[0]):
        for h in range(size[1]):
            scores = query[b, h] @ key[b, h].T / query.shape[-1] ** 0.5
            scores[~allowed[b, h]] = torch.finfo(scores.dtype).min
            mixed[b, h] = torch.softmax(scores, 1) @ value[b, h]
    return mixed


HINTS = (
    "Three steps: how well does each query fit each key (scores), what share does each key get (softmax), and the mix "
    "of the values by these shares. The mask comes between the first and the second.",
    "scores = query · keyᵀ / √d, [B, h, T, S]. Where the mask is False, the score becomes "
    "`torch.finfo(scores.dtype).min`. Then softmax over the last dimension, times value.",
    """\
def attend(query, key, value, mask=None):
    scores = query @ ... / ...
    if mask is not None:
        scores = scores.masked_fill(..., torch.finfo(scores.dtype).min)
    return scores.softmax(...) @ ...
""",
)

EXERCISE = Exercise(
    id="bart.attend",
    points=3,
    minutes=15,
    stars=2,
    reference=attend,
    cases=cases,
    wrong=(
        forgets_the_scale,
        divides_by_d,
        multiplies_by_the_root,
        scales_by_the_number_of_keys,
        scales_by_the_whole_width,
        scales_after_the_softmax,
        shares_out_among_the_queries,
        shares_out_among_the_heads,
        forgets_the_softmax,
        takes_the_best_key_only,
        turns_the_mask_around,
        ignores_the_mask,
        masks_after_the_softmax,
        fills_with_zero,
        fills_with_minus_one,
        adds_the_mask,
        adds_a_large_penalty,
        gives_zeros_where_nothing_may_be_seen,
        gives_nan_where_nothing_may_be_seen,
        mixes_the_keys,
        compares_the_values,
        adds_the_query,
        takes_the_softmax_twice,
        shares_by_sigmoid,
        lets_queries_and_keys_learn_nothing,
    ),
    also_right=(by_einsum, by_exponentials, head_by_head),
    hints=HINTS,
    reaches="Bart.forward",
    forbid=("scaled_dot_product_attention", "MultiheadAttention", "multi_head_attention_forward"),
    probe=probe_attend,
    tolerance=1e-4,
)
