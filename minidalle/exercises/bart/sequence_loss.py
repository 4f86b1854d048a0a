"""Exercise: how surprised a model is by the real tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.bart.sequences import sequence_loss
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart_layers import probe_sequence_loss
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """One token of two; rows without and with padding; logits that are all large, and logits that are far apart."""
    chance = generator(seed, "bart.sequence_loss")

    def logits(*shape: int) -> Tensor:
        """Numbers that can be read, no two of a token closer than 0.3."""
        ranks = torch.rand(*shape, generator=chance).argsort(-1)
        return (ranks - 1 + 0.4 * torch.rand(*shape, generator=chance)).mul(10).round() / 10

    def targets(of: Tensor) -> Tensor:
        """Any token but the likeliest one at the first place."""
        drawn = torch.randint(of.shape[-1], of.shape[:-1], generator=chance)
        drawn[:, 0] = of[:, 0].argmin(-1)
        return drawn

    def case(of: Tensor, *lengths: int) -> Case:
        mask = torch.arange(of.shape[1]) < torch.tensor(lengths)[:, None] if lengths else None
        return {"logits": of, "targets": targets(of), "mask": mask}

    far = torch.tensor([[[0.0, -150.0, -1.0], [-1.0, -2.0, 0.0]]]) - logits(1, 2, 3).abs() / 2
    return [
        case(logits(1, 1, 2)),
        case(logits(1, 2, 3)),
        case(logits(2, 2, 2)),
        case(logits(1, 3, 2), 2),
        case(logits(2, 3, 4), 1, 3),
        case(logits(3, 4, 5), 4, 1, 2),
        case(logits(1, 2, 3) + 100),
        case(far),
    ]


def _surprise(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def _average(surprise: Tensor, mask: Tensor | None) -> Tensor:
    return surprise.mean() if mask is None else surprise[mask].mean()


def counts_padding_too(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Where `mask` is False, there is only padding, which nobody should have to foresee: average the others."""
    return _surprise(logits, targets).mean()


def divides_by_all_positions(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """What does not count is 0 in your sum, but you still divide by its positions: divide by those that count."""
    surprise = _surprise(logits, targets)
    return surprise.mean() if mask is None else (surprise * mask).mean()


def averages_each_row_first(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Each token counts the same. If every row is averaged first, the tokens of a short row count more."""
    surprise = _surprise(logits, targets)
    mask = torch.ones_like(surprise) if mask is None else mask
    return ((surprise * mask).sum(1) / mask.sum(1)).mean()


def counts_only_the_padding(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """True in the mask means that a token counts. You average the others."""
    return _average(_surprise(logits, targets), None if mask is None else ~mask)


def sets_the_logits_of_padding_to_zero(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Equal logits are a guess among all tokens, and not free. Leave those positions out of the mean instead."""
    kept = logits if mask is None else logits * mask[..., None]
    return _surprise(kept, targets).mean()


def adds_the_tokens_up(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The loss is per token: a mean, not a sum, so that it does not grow with the batch."""
    surprise = _surprise(logits, targets)
    return surprise.sum() if mask is None else surprise[mask].sum()


def adds_up_each_picture(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """That is nats per picture, a mean over rows alone. Per token, divide by all tokens that count."""
    surprise = _surprise(logits, targets)
    return (surprise if mask is None else surprise * mask).sum(1).mean()


def averages_over_the_vocabulary(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Of each position's V numbers, only the real token's counts. You take a mean over V, too, and most of it is 0."""
    return _average(_surprise(logits, targets), mask) / logits.shape[-1]


def takes_the_logarithm_of_base_2(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """That is in bits. Nats belong to the natural logarithm, `log`."""
    return _average(_surprise(logits, targets), mask) / torch.log(torch.tensor(2.0))


def forgets_the_minus(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The logarithm of a probability is at most 0, and a surprise at least 0: change the sign."""
    return -_average(_surprise(logits, targets), mask)


def returns_the_perplexity(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The exponential of the mean is the perplexity. The loss is the mean itself."""
    return _average(_surprise(logits, targets), mask).exp()


def shifts_the_targets_once_more(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """`shift_right` has been there already: the logits at a position are about the target at the same position."""
    return _average(_surprise(logits[:, :-1], targets[:, 1:]), None if mask is None else mask[:, 1:])


def takes_the_probability_itself(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The surprise is minus the logarithm of the probability: `log_softmax` in place of `softmax`."""
    return -_average((-_surprise(logits, targets)).exp(), mask)


def takes_the_logarithm_of_the_mean(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """First the logarithm of each token's probability, then the mean: the other way round, a bad guess costs little."""
    return -_average((-_surprise(logits, targets)).exp(), mask).log()


def takes_the_softmax_twice(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """`log_softmax` (or `logsumexp`) makes probabilities of logits. Give it the logits, and no probabilities."""
    return _average(_surprise(logits.softmax(-1), targets), mask)


def takes_the_softmax_over_positions(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """At each position the probabilities of the V tokens add up to 1: the softmax is over the last dimension."""
    return _average(-logits.log_softmax(1).gather(-1, targets[..., None])[..., 0], mask)


def forgets_to_normalize(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """A logit is no log-probability yet: subtract the `logsumexp` of its position's logits, as `log_softmax` does."""
    return -_average(logits.gather(-1, targets[..., None])[..., 0], mask)


def asks_for_the_likeliest_token(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """What counts is the probability of the real token, `targets`, however likely the model thought another one."""
    return _average(_surprise(logits, logits.argmax(-1)), mask)


def takes_the_logarithm_after_the_softmax(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """A very small probability is rounded to 0, and its logarithm is −∞. `log_softmax` does both at once and is
    exact."""
    return -_average(logits.softmax(-1).gather(-1, targets[..., None])[..., 0].log(), mask)


def exponentiates_large_logits(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """exp(100) is more than float32 can hold. `logsumexp` and `log_softmax` subtract the largest logit first."""
    chosen = logits.gather(-1, targets[..., None])[..., 0]
    return _average(logits.exp().sum(-1).log() - chosen, mask)


def by_log_softmax(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: the log-probabilities of all tokens, of which the real one's are taken, and a weighted mean."""
    log_probability = F.log_softmax(logits, dim=2).gather(2, targets.unsqueeze(2)).squeeze(2)
    weight = torch.ones_like(log_probability) if mask is None else mask.to(log_probability.dtype)
    return -(log_probability * weight).sum() / weight.sum()


def by_one_hot_targets(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: a sum over the vocabulary in which all but one are 0."""
    surprise = -(F.one_hot(targets, logits.shape[-1]) * logits.log_softmax(-1)).sum(-1)
    return surprise.mean() if mask is None else surprise.masked_select(mask).mean()


def picks_what_counts_first(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: a list of tokens that count, and their places in it."""
    if mask is None:
        mask = torch.ones_like(targets, dtype=torch.bool)
    logits, targets = logits[mask], targets[mask]
    shifted = logits - logits.max(dim=1, keepdim=True).values
    surprise = shifted.exp().sum(dim=1).log() - shifted[torch.arange(len(targets)), targets]
    return surprise.sum() / len(surprise)


HINTS = (
    "At each position the logits say how likely each token is. Look only at the real one, ask how surprising it is, "
    "and average over the positions that count.",
    "surprise = −log softmax(logits)[target] = logsumexp(logits) − logits[target], a number for each position, [B, N]. "
    "`logits.gather(-1, targets.unsqueeze(-1))` takes each target's logit, and `surprise[mask]` those that count.",
    """\
def sequence_loss(logits, targets, mask=None):
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # [B, N]
    surprise = ...
    return surprise.mean() if mask is None else ...
""",
)

EXERCISE = Exercise(
    id="bart.sequence_loss",
    points=3,
    minutes=15,
    stars=2,
    reference=sequence_loss,
    cases=cases,
    wrong=(
        counts_padding_too,
        divides_by_all_positions,
        averages_each_row_first,
        counts_only_the_padding,
        sets_the_logits_of_padding_to_zero,
        adds_the_tokens_up,
        adds_up_each_picture,
        averages_over_the_vocabulary,
        takes_the_logarithm_of_base_2,
        forgets_the_minus,
        returns_the_perplexity,
        shifts_the_targets_once_more,
        takes_the_probability_itself,
        takes_the_logarithm_of_the_mean,
        takes_the_softmax_twice,
        takes_the_softmax_over_positions,
        forgets_to_normalize,
        asks_for_the_likeliest_token,
        takes_the_logarithm_after_the_softmax,
        exponentiates_large_logits,
    ),
    also_right=(by_log_softmax, by_one_hot_targets, picks_what_counts_first),
    hints=HINTS,
    reaches="BartStage.step",
    forbid=("cross_entropy", "CrossEntropyLoss", "nll_loss", "NLLLoss"),
    probe=probe_sequence_loss,
    tolerance=1e-3,
)
