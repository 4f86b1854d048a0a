"""Exercise: how surprised a model is, and how sure that figure is."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generalization import probe_token_nll
from minidalle.generalization.gap import token_nll
from minidalle.runtime import generator

Answer = tuple[Tensor, Tensor, Tensor]


def cases(seed: int) -> list[Case]:
    """Two images of one token; all tokens count; some do not, at the end and between; tokens that are hardly likely;
    logits in half precision."""
    chance = generator(seed, "generalization.token_nll")

    def logits(*shape: int) -> Tensor:
        """Numbers that can be read, no two of a token closer than 0.3."""
        ranks = torch.rand(*shape, generator=chance).argsort(-1)
        return (ranks - 1 + 0.4 * torch.rand(*shape, generator=chance)).mul(10).round() / 10

    def case(of: Tensor, *counting: str) -> Case:
        """The first image's targets are the least likely ones, the second's the likeliest, other images' are drawn."""
        targets = torch.randint(of.shape[-1], of.shape[:-1], generator=chance)
        targets[0], targets[1] = of[0].argmin(-1), of[1].argmax(-1)
        mask = torch.tensor([[sign == "1" for sign in row] for row in counting or ["1" * of.shape[1]] * len(of)])
        return {"logits": of, "targets": targets, "mask": mask}

    far = logits(3, 2, 3) + torch.tensor([0.0, -150.0, 0.0])
    half = logits(5, 2, 3) + torch.tensor([0.0, -20.0, 0.0])
    return [
        case(logits(2, 1, 2)),
        case(logits(2, 2, 3)),
        case(logits(3, 2, 3)),
        case(logits(2, 3, 3), "100", "111"),
        case(logits(3, 4, 4), "1100", "1111", "1000"),
        case(logits(4, 5, 6), "10110", "11111", "00100", "01101"),
        case(far),
        {**case(half.bfloat16(), "10", "01", "10", "11", "01"), "targets": torch.ones(5, 2, dtype=torch.long)},
    ]


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Each token's, [B, N]."""
    logits = logits.float()
    return logits.logsumexp(-1) - logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _from_sums(sums: Tensor, counts: Tensor) -> Answer:
    """What is right, if the sums [B] and the counts [B] are."""
    mean = sums.sum() / counts.sum()
    n = len(sums)
    se = ((sums - mean * counts).square().sum() * n / (n - 1)).sqrt() / counts.sum()
    return mean, se, sums / counts


def _right(nats: Tensor, mask: Tensor) -> Answer:
    return _from_sums(nats.where(mask, 0.0).sum(1), mask.sum(1))


def averages_the_image_means(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Every token weighs the same: divide the sum of all by their number. In a mean of image means, the tokens of a
    short image weigh more."""
    sums, counts = (_nats(logits, targets) * mask).sum(1), mask.sum(1)
    mean = (sums / counts).mean()
    se = ((sums - mean * counts).square().sum() * len(sums) / (len(sums) - 1)).sqrt() / counts.sum()
    return mean, se, sums / counts


def takes_each_image_for_one_number(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Mean and error of B image means are those of images. Per token, an image weighs as many tokens as it has."""
    _, _, per_image = _right(_nats(logits, targets), mask)
    return per_image.mean(), per_image.std() / len(per_image) ** 0.5, per_image


def leaves_the_factor_outside_of_the_root(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """B / (B − 1) belongs to the squares, and so under the root with them."""
    mean, se, per_image = _right(_nats(logits, targets), mask)
    return mean, se * (len(logits) / (len(logits) - 1)) ** 0.5, per_image


def counts_padding_too(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Where `mask` is False nothing counts: keep those tokens out of the sums, and out of the numbers of tokens."""
    return _right(_nats(logits, targets), torch.ones_like(mask))


def divides_each_image_by_all_positions(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The mean is right, but `per_image` is divided by N: divide by how many of the image's tokens count."""
    nats = _nats(logits, targets)
    return *_right(nats, mask)[:2], (nats * mask).mean(1)


def counts_in_bits(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Nats are natural logarithms: `log`, not `log2`."""
    return _right(_nats(logits, targets) / math.log(2), mask)


def counts_padding_in_the_mean_of_each_image(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The mean is right, but `per_image` has tokens in it that do not count: the mask holds there, too."""
    nats = _nats(logits, targets)
    return *_right(nats, mask)[:2], nats.mean(1)


def divides_by_all_positions(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """What does not count is 0 in your sums, but you still divide by B·N and N. Divide by how many tokens count:
    `mask.sum()`, and `mask.sum(1)` for each image."""
    sums = (_nats(logits, targets) * mask).sum(1)
    return _from_sums(sums, torch.full_like(sums, mask.shape[1]))


def counts_only_the_padding(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """True in the mask means that a token counts. You take the others."""
    return _right(_nats(logits, targets), ~mask)


def takes_tokens_for_independent(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The spread of all tokens over the root of their number is the error if each were a fact of its own. Those of an
    image go together: add up the errors within each image first, then square."""
    nats = _nats(logits, targets)
    mean, _, per_image = _right(nats, mask)
    return mean, nats[mask].std(correction=0) / mask.sum().sqrt(), per_image


def takes_every_token_for_a_fact(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The tokens of an image are hard or easy together, so that it is one fact, not N: compare sums of images."""
    nats = _nats(logits, targets)
    mean, _, per_image = _right(nats, mask)
    return mean, nats[mask].std() / mask.sum().sqrt(), per_image


def takes_the_error_of_the_image_means(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """That is the error of a mean in which each image weighs the same. Here an image weighs as many tokens as it has:
    take its sum minus mean times count, sᵢ − m nᵢ."""
    mean, _, per_image = _right(_nats(logits, targets), mask)
    return mean, per_image.std() / len(per_image) ** 0.5, per_image


def compares_sums_with_their_mean(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """An image of few tokens has a small sum, and that is no error. Compare its sum with what it would be at the mean
    per token: m · nᵢ, not the mean of the sums."""
    sums = (_nats(logits, targets) * mask).sum(1)
    mean, _, per_image = _from_sums(sums, mask.sum(1))
    return mean, sums.std() * len(sums) ** 0.5 / mask.sum(), per_image


def divides_by_all_images_in_the_error(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The mean was made of the same B images, so that they seem closer to it than they are. The factor B / (B − 1)
    makes up for that."""
    mean, se, per_image = _right(_nats(logits, targets), mask)
    return mean, se * (1 - 1 / len(logits)) ** 0.5, per_image


def divides_the_error_by_the_images(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """That is the error of nats per image. Per token, divide by the number of all tokens that count, n.sum()."""
    mean, se, per_image = _right(_nats(logits, targets), mask)
    return mean, se * mask.sum() / len(mask), per_image


def returns_the_variance(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """A standard error is the root of a variance: take `sqrt` of it."""
    mean, se, per_image = _right(_nats(logits, targets), mask)
    return mean, se.square(), per_image


def returns_the_spread(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """How far images are from each other does not shrink with more of them. The error of their mean does: the formula
    divides by the number of all tokens."""
    mean, _, per_image = _right(_nats(logits, targets), mask)
    return mean, per_image.std(), per_image


def adds_errors_up_before_it_squares(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The errors of all images together are 0, as the mean is in their middle. Square each image's, then add."""
    mean, se, per_image = _right(_nats(logits, targets), mask)
    return mean, se - se, per_image


def leaves_each_image_a_sum(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """`per_image` is per token, too: divide each image's sum by the number of its tokens that count."""
    nats = _nats(logits, targets)
    return *_right(nats, mask)[:2], (nats * mask).sum(1)


def adds_the_tokens_up(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """`mean` is per token: divide the sum by how many tokens count, or it grows with the number of images."""
    nats = _nats(logits, targets)
    return nats[mask].sum(), *_right(nats, mask)[1:]


def returns_nats_of_an_image(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """A mean of sums is nats per image. Per token, divide by the number of tokens and not of images."""
    sums = (_nats(logits, targets) * mask).sum(1)
    return sums.mean(), *_from_sums(sums, mask.sum(1))[1:]


def forgets_the_minus(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """The logarithm of a probability is at most 0, and a surprise at least 0: change the sign."""
    return _right(-_nats(logits, targets), mask)


def takes_probabilities_for_their_logarithms(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Surprise is minus the *logarithm* of the target's probability: `log_softmax` in place of `softmax`."""
    return _right(-(-_nats(logits, targets)).exp(), mask)


def takes_logits_for_log_probabilities(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """A logit is no logarithm of a probability yet: `log_softmax` over the last dimension makes it one."""
    return _right(-logits.float().gather(-1, targets[..., None])[..., 0], mask)


def takes_the_softmax_twice(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """`log_softmax` and `cross_entropy` want the logits as they are. Yours are probabilities already."""
    return _right(_nats(logits.float().softmax(-1), targets), mask)


def takes_the_logarithm_after_the_softmax(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """A very small probability is rounded to 0, and its logarithm is −∞. `log_softmax` does both at once and is
    exact."""
    return _right(-logits.float().softmax(-1).gather(-1, targets[..., None])[..., 0].log(), mask)


def stays_in_half_precision(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """bfloat16 keeps two or three digits, too few for a sum: `logits.float()` before anything else."""
    nats = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    return _right(nats.where(mask, 0.0), mask)


def by_cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Right: torch's cross-entropy of every token, and what does not count multiplied by 0."""
    nats = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(targets) * mask
    counts = mask.sum(dim=1).float()
    mean = nats.sum() / counts.sum()
    images = len(nats)
    residuals = nats.sum(dim=1) - mean * counts
    variance = images / (images - 1) * (residuals**2).sum() / counts.sum() ** 2
    return mean, torch.sqrt(variance), nats.sum(dim=1) / counts


def image_by_image(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Right: a list of each image's tokens that count."""
    tokens = [
        -image.to(torch.float32).log_softmax(-1)[torch.arange(len(target)), target][keep]
        for image, target, keep in zip(logits, targets, mask, strict=True)
    ]
    mean = torch.cat(tokens).mean()
    squares = torch.stack([(own - mean).sum() ** 2 for own in tokens])
    se = (len(tokens) * squares.sum() / (len(tokens) - 1)) ** 0.5 / len(torch.cat(tokens))
    return mean, se, torch.stack([own.mean() for own in tokens])


def weighs_the_image_means(logits: Tensor, targets: Tensor, mask: Tensor) -> Answer:
    """Right: each image's mean, weighted by its share of the tokens; its spread is that of weighted deviations."""
    chosen = F.one_hot(targets, logits.shape[-1]).bool()
    nats = -logits.float().log_softmax(-1)[chosen].view_as(targets)
    share = mask.sum(1) / mask.sum()
    per_image = nats.masked_fill(~mask, 0).sum(1) / mask.sum(1)
    mean = (share * per_image).sum()
    return mean, (share * (per_image - mean)).norm() * (len(share) / (len(share) - 1)) ** 0.5, per_image


HINTS = (
    "First each token's surprise, as in `sequence_loss`, then two numbers of each image: the sum of what counts, and "
    "how many tokens that is. All three results are made of these sums and counts.",
    "With s = nats.where(mask, 0).sum(1) and n = mask.sum(1): mean m = s.sum() / n.sum(), per_image = s / n, and "
    "se = √(B / (B − 1) · Σ (s − m n)²) / n.sum(). "
    "`torch.promote_types(logits.dtype, torch.float32)` is what to compute in: half precision has too few digits.",
    """\
def token_nll(logits, targets, mask):
    nats = ...  # [B, N]
    totals, counts = ..., ...  # [B] each
    mean = ...
    errors = totals - ...
    se = ...
    return mean, se, totals / counts
""",
)

EXERCISE = Exercise(
    id="generalization.token_nll",
    points=4, minutes=20, stars=2,
    reference=token_nll, cases=cases,
    wrong=(divides_the_error_by_the_images, takes_every_token_for_a_fact, averages_the_image_means,
           takes_each_image_for_one_number, leaves_the_factor_outside_of_the_root, divides_each_image_by_all_positions,
           counts_in_bits, counts_padding_too, counts_padding_in_the_mean_of_each_image, divides_by_all_positions,
           counts_only_the_padding, takes_tokens_for_independent, takes_the_error_of_the_image_means,
           compares_sums_with_their_mean, divides_by_all_images_in_the_error, returns_the_variance, returns_the_spread,
           adds_errors_up_before_it_squares, leaves_each_image_a_sum, adds_the_tokens_up, returns_nats_of_an_image,
           forgets_the_minus, takes_probabilities_for_their_logarithms, takes_logits_for_log_probabilities,
           takes_the_softmax_twice, takes_the_logarithm_after_the_softmax, stays_in_half_precision),
    also_right=(by_cross_entropy, image_by_image, weighs_the_image_means),
    hints=HINTS,
    reaches="generalization_gap", probe=probe_token_nll, tolerance=1e-3,
)  # fmt: skip
