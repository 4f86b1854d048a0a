"""Exercise: what the discriminator minimizes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_losses import probe_hinge_loss
from minidalle.runtime import generator
from minidalle.vqgan.losses import hinge_loss


def cases(seed: int) -> list[Case]:
    """One logit each within the margins, one each beyond them, then several, of other numbers and shapes."""
    chance = generator(seed, "vqgan.hinge_loss")

    def drawn(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=chance)

    def both(*shape: int) -> Tensor:
        """Logits on both sides of the margins 1 and −1, and not at one of them."""
        size = drawn(*shape, low=0.2, high=0.8) + 1.0 * torch.randint(3, shape, generator=chance)
        return size * (2.0 * torch.randint(2, shape, generator=chance) - 1)

    return [
        {"real": drawn(1, low=0.2, high=0.7), "fake": drawn(1, low=-0.7, high=-0.2)},
        {"real": drawn(1, low=1.5, high=2.5), "fake": drawn(1, low=-2.5, high=-1.5)},
        {"real": drawn(1, low=-1.9, high=-1.2), "fake": drawn(1, low=0.3, high=0.8)},
        {"real": both(2), "fake": both(3)},
        {"real": both(2, 1, 2, 2), "fake": both(2, 1, 2, 2)},
        {"real": both(4, 1, 3, 2), "fake": both(1, 1, 3, 2)},
    ]


def swaps_real_and_fake(real: Tensor, fake: Tensor) -> Tensor:
    """Real logits should rise above 1, so they cost max(0, 1 − real); fake ones should fall below −1."""
    return (F.relu(1 + real).mean() + F.relu(1 - fake).mean()) / 2


def treats_both_alike(real: Tensor, fake: Tensor) -> Tensor:
    """Fake logits should go the other way, below −1: theirs is max(0, 1 + fake)."""
    return (F.relu(1 - real).mean() + F.relu(1 - fake).mean()) / 2


def forgets_to_halve(real: Tensor, fake: Tensor) -> Tensor:
    """The two means are added and then halved."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def never_stops_pushing(real: Tensor, fake: Tensor) -> Tensor:
    """A real logit above 1 is good enough and costs nothing, not less than nothing: max(0, …), which is `F.relu`."""
    return ((1 - real).mean() + (1 + fake).mean()) / 2


def looks_only_at_real_pictures(real: Tensor, fake: Tensor) -> Tensor:
    """A half is missing: fake logits should fall below −1, and cost max(0, 1 + fake) until they do."""
    return F.relu(1 - real).mean() / 2


def looks_only_at_fake_pictures(real: Tensor, fake: Tensor) -> Tensor:
    """A half is missing: real logits should rise above 1, and cost max(0, 1 − real) until they do."""
    return F.relu(1 + fake).mean() / 2


def takes_the_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """That is the loss of the first GANs. The hinge loss takes no logarithm: a straight line, and 0 from 1 on."""
    costs = [
        F.binary_cross_entropy_with_logits(real, torch.ones_like(real)),
        F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)),
    ]
    return sum(costs, torch.zeros(())) / 2


def squares_the_distances(real: Tensor, fake: Tensor) -> Tensor:
    """The hinge is a straight line below the margin: nothing is squared."""
    return (F.relu(1 - real).square().mean() + F.relu(1 + fake).square().mean()) / 2


def costs_beyond_the_margin(real: Tensor, fake: Tensor) -> Tensor:
    """The other way around: beyond the margin a logit costs nothing, so it is max(0, 1 − real) and max(0, 1 + fake)."""
    return (F.relu(real - 1).mean() + F.relu(-1 - fake).mean()) / 2


def has_no_margin(real: Tensor, fake: Tensor) -> Tensor:
    """A real logit has to be above 1 before it costs nothing, not only above 0: max(0, 1 − real)."""
    return (F.relu(-real).mean() + F.relu(fake).mean()) / 2


def averages_before_it_clips(real: Tensor, fake: Tensor) -> Tensor:
    """Each logit has its own max(0, …). If you average first, a very good one hides a bad one."""
    return (F.relu(1 - real.mean()) + F.relu(1 + fake.mean())) / 2


def averages_all_logits_together(real: Tensor, fake: Tensor) -> Tensor:
    """One mean over the real ones and one over the fake ones: both kinds count alike, however many there are."""
    return torch.cat([F.relu(1 - real).flatten(), F.relu(1 + fake).flatten()]).mean()


def adds_before_it_averages(real: Tensor, fake: Tensor) -> Tensor:
    """There need not be as many fake logits as real ones: take the mean of each kind first, then add the two."""
    return (F.relu(1 - real) + F.relu(1 + fake)).mean() / 2


def adds_the_logits_up(real: Tensor, fake: Tensor) -> Tensor:
    """Take the mean over the logits, not the sum: else the loss grows with batch and picture."""
    return (F.relu(1 - real).sum() + F.relu(1 + fake).sum()) / 2


def maximizes_instead(real: Tensor, fake: Tensor) -> Tensor:
    """Papers often write what the discriminator maximizes. A loss is minimized, so all signs change."""
    return ((real - 1).clamp(max=0).mean() + (-1 - fake).clamp(max=0).mean()) / 2


def writes_the_loss_of_the_generator(real: Tensor, fake: Tensor) -> Tensor:
    """−fake is what the generator minimizes. The discriminator wants the opposite, and looks at real pictures too."""
    return -fake.mean()


def detaches_the_fake_logits(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator learns from fakes too. Their pixels are detached before it sees them; its logits are not."""
    return (F.relu(1 - real).mean() + F.relu(1 + fake.detach()).mean()) / 2


def with_clamp(real: Tensor, fake: Tensor) -> Tensor:
    """Right: what is below 0 becomes 0, and half of each is added."""
    return 0.5 * (1 - real).clamp(min=0).mean() + 0.5 * (fake + 1).clamp(min=0).mean()


def with_a_mask(real: Tensor, fake: Tensor) -> Tensor:
    """Right: only the logits that are not yet beyond the margin are added up."""
    of_real = ((1 - real) * (real < 1)).sum() / real.numel()
    of_fake = ((1 + fake) * (fake > -1)).sum() / fake.numel()
    return torch.stack([of_real, of_fake]).mean()


def with_a_maximum(real: Tensor, fake: Tensor) -> Tensor:
    """Right: a logit above the margin is as good as one at it, so the margin is subtracted from the smaller of both."""
    of_real = 1 - torch.minimum(real, torch.ones_like(real)).mean()
    of_fake = 1 + torch.maximum(fake, -torch.ones_like(fake)).mean()
    return (of_real + of_fake) / 2


HINTS = (
    "How far is a real logit from being above 1, and a fake one from being below −1? A logit that is there already "
    "costs nothing, however far beyond it is.",
    "A real logit costs max(0, 1 − real), a fake one max(0, 1 + fake), and max(0, x) is `F.relu(x)`. The loss is half "
    "the sum of the two means.",
    """\
def hinge_loss(real, fake):
    of_real = F.relu(...).mean()
    of_fake = ...
    return ...
""",
)

EXERCISE = Exercise(
    id="vqgan.hinge_loss",
    points=2,
    minutes=10,
    stars=1,
    reference=hinge_loss,
    cases=cases,
    wrong=(
        swaps_real_and_fake,
        treats_both_alike,
        forgets_to_halve,
        never_stops_pushing,
        looks_only_at_real_pictures,
        looks_only_at_fake_pictures,
        takes_the_cross_entropy,
        squares_the_distances,
        costs_beyond_the_margin,
        has_no_margin,
        averages_before_it_clips,
        averages_all_logits_together,
        adds_before_it_averages,
        adds_the_logits_up,
        maximizes_instead,
        writes_the_loss_of_the_generator,
        detaches_the_fake_logits,
    ),
    also_right=(with_clamp, with_a_mask, with_a_maximum),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_hinge_loss,
    tolerance=1e-4,
)
