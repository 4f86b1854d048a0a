"""Exercise: how many codes are used, and how evenly."""

import math

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_codebook_usage
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import codebook_usage


def cases(seed: int) -> list[Case]:
    """One code; codes as often as each other; some that are never chosen; long and float counts, small and large."""
    chance = generator(seed, "vqgan.codebook_usage")

    def draw(low: int, high: int, size: int) -> Tensor:
        return torch.randint(low, high, (size,), generator=chance)

    def mixed(*parts: Tensor) -> Tensor:
        together = torch.cat(parts)
        return together[torch.randperm(len(together), generator=chance)]

    one, nothing = torch.ones(1, dtype=torch.long), torch.zeros(2, dtype=torch.long)
    return [
        {"counts": draw(2, 9, 1)},
        {"counts": draw(2, 9, 1).repeat(int(draw(2, 6, 1)))},
        {"counts": torch.cat([one, one + draw(1, 4, 1)])},
        {"counts": mixed(draw(2, 9, 2), nothing)},
        {"counts": mixed(one, draw(2, 6, 4), nothing)},
        {"counts": mixed(draw(1, 9, 6), nothing).float()},
        {"counts": mixed(draw(100, 10000, 12), one, nothing).float()},
    ]


def _shares(counts: Tensor) -> Tensor:
    return counts.double() / counts.sum()


def _entropy(counts: Tensor) -> Tensor:
    return torch.special.entr(_shares(counts)).sum()


def _used(counts: Tensor) -> int:
    return int(counts.count_nonzero())


def counts_the_choices(counts: Tensor) -> tuple[int, float]:
    """The sum of the counts is the number of tokens. Count the codes whose count is not 0."""
    return int(counts.sum()), _entropy(counts).exp().item()


def counts_all_codes(counts: Tensor) -> tuple[int, float]:
    """K is how many codes there are. Those in use are the ones with a count above 0."""
    return len(counts), _entropy(counts).exp().item()


def counts_the_codes_never_chosen(counts: Tensor) -> tuple[int, float]:
    """Those are the unused ones. In use are the codes whose count is above 0, not equal to 0."""
    return int((counts == 0).sum()), _entropy(counts).exp().item()


def leaves_out_codes_chosen_once(counts: Tensor) -> tuple[int, float]:
    """A code that was chosen once is in use: greater than 0, not than 1."""
    return int((counts > 1).sum()), _entropy(counts).exp().item()


def counts_the_different_counts(counts: Tensor) -> tuple[int, float]:
    """`unique` of the tokens would be the codes in use; of their counts, it is how many different counts there are."""
    return len(counts[counts > 0].unique()), _entropy(counts).exp().item()


def counts_the_different_counts_and_0(counts: Tensor) -> tuple[int, float]:
    """`unique` of the tokens would be the codes in use; of the counts, it is how many different numbers these are."""
    return len(counts.unique()), _entropy(counts).exp().item()


def returns_the_entropy(counts: Tensor) -> tuple[int, float]:
    """Perplexity is e to the entropy: with it, four equal codes give 4, and not log 4."""
    return _used(counts), _entropy(counts).item()


def forgets_the_minus(counts: Tensor) -> tuple[int, float]:
    """Logarithms of shares are negative: the entropy is minus the sum, and a perplexity at least 1."""
    return _used(counts), torch.exp(-_entropy(counts)).item()


def raises_2_to_the_entropy_in_nats(counts: Tensor) -> tuple[int, float]:
    """`log` is the natural logarithm, so raise e to the entropy; or take log2, and 2."""
    return _used(counts), (2 ** _entropy(counts)).item()


def raises_e_to_the_entropy_in_bits(counts: Tensor) -> tuple[int, float]:
    """With log2 the entropy is in bits, so raise 2 to it; or take the natural logarithm, and e."""
    return _used(counts), (_entropy(counts) / math.log(2)).exp().item()


def lets_unused_codes_make_nan(counts: Tensor) -> tuple[int, float]:
    """0 · log 0 is nan for PyTorch, and 0 for the entropy: leave shares of 0 out, or use `torch.xlogy`."""
    shares = _shares(counts)
    return _used(counts), torch.exp(-(shares * shares.log()).sum()).item()


def takes_the_mean_over_the_codes(counts: Tensor) -> tuple[int, float]:
    """The entropy is the sum over codes: each −p log p has its weight, p, already."""
    return _used(counts), torch.special.entr(_shares(counts)).mean().exp().item()


def forgets_to_make_shares_of_counts(counts: Tensor) -> tuple[int, float]:
    """Entropy is of shares, which add up to 1: divide the counts by their sum first."""
    return _used(counts), torch.special.entr(counts.double()).sum().exp().item()


def divides_by_the_number_of_codes(counts: Tensor) -> tuple[int, float]:
    """Shares add up to 1: divide the counts by their sum, not by how many there are."""
    return _used(counts), torch.special.entr(counts.double() / len(counts)).sum().exp().item()


def squares_the_shares(counts: Tensor) -> tuple[int, float]:
    """1 / Σ p² is another measure of how even shares are. Perplexity is e to the entropy, −Σ p log p."""
    return _used(counts), (1 / _shares(counts).square().sum()).item()


def makes_shares_with_softmax(counts: Tensor) -> tuple[int, float]:
    """Counts are no logits: divide them by their sum."""
    return _used(counts), torch.special.entr(counts.double().softmax(dim=0)).sum().exp().item()


def makes_shares_with_softmax_and_nan(counts: Tensor) -> tuple[int, float]:
    """Counts are no logits: divide them by their sum. And 0 · log 0 is nan for PyTorch: `torch.xlogy` makes it 0."""
    shares = counts.float().softmax(dim=0)
    return _used(counts), torch.exp(-(shares * shares.log()).sum()).item()


def averages_the_logarithms_of_shares(counts: Tensor) -> tuple[int, float]:
    """Each −log p is weighed by p: a code that is chosen often counts more than a rare one."""
    shares = _shares(counts)
    return _used(counts), torch.exp(-shares[shares > 0].log().mean()).item()


def leaves_zeros_out(counts: Tensor) -> tuple[int, float]:
    """Right: only codes in use, in float32."""
    chosen = counts[counts > 0].float()
    shares = chosen / chosen.sum()
    return len(chosen), torch.exp(-torch.sum(shares * torch.log(shares))).item()


def adds_a_little_inside_the_logarithm(counts: Tensor) -> tuple[int, float]:
    """Right: the usual way to have no log 0; what it adds is far too little to see."""
    shares = counts / counts.sum()
    entropy = -(shares * (shares + 1e-10).log2()).sum()
    return sum(count > 0 for count in counts.tolist()), 2 ** entropy.item()


def multiplies_powers(counts: Tensor) -> tuple[int, float]:
    """Right: without a logarithm. Perplexity is the product of all p to the power of −p."""
    numbers = counts.tolist()
    total = sum(numbers)
    return len([n for n in numbers if n]), math.prod((n / total) ** (-n / total) for n in numbers if n)


def lets_a_distribution_do_it(counts: Tensor) -> tuple[int, float]:
    """Right: PyTorch's distribution makes shares of counts, and knows their entropy."""
    entropy = torch.distributions.Categorical(probs=counts.float()).entropy()
    return int(torch.sum(counts != 0)), math.exp(entropy)


HINTS = (
    "The first number is how many counts are above 0. For the second, make shares of the counts; their entropy says "
    "how uncertain the next token is, and e to it among how many equal codes one would be as uncertain.",
    "p = n / Σ n; entropy H = −Σ p log p; perplexity = e^H. Where p is 0, p log p is 0: `torch.xlogy(p, p)` knows it. "
    "`int(…)` and `float(…)` make Python's numbers of tensors.",
    """\
def codebook_usage(counts):
    shares = ...
    entropy = ...  # mind codes that were never chosen
    return int(...), float(...)
""",
)

EXERCISE = Exercise(
    id="vqgan.codebook_usage",
    points=3,
    minutes=15,
    stars=2,
    reference=codebook_usage,
    cases=cases,
    wrong=(
        counts_the_choices,
        counts_all_codes,
        counts_the_codes_never_chosen,
        leaves_out_codes_chosen_once,
        counts_the_different_counts,
        counts_the_different_counts_and_0,
        returns_the_entropy,
        forgets_the_minus,
        raises_2_to_the_entropy_in_nats,
        raises_e_to_the_entropy_in_bits,
        lets_unused_codes_make_nan,
        takes_the_mean_over_the_codes,
        forgets_to_make_shares_of_counts,
        divides_by_the_number_of_codes,
        squares_the_shares,
        makes_shares_with_softmax,
        makes_shares_with_softmax_and_nan,
        averages_the_logarithms_of_shares,
    ),
    also_right=(
        leaves_zeros_out,
        adds_a_little_inside_the_logarithm,
        multiplies_powers,
        lets_a_distribution_do_it,
    ),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_codebook_usage,
    tolerance=2e-3,
)
