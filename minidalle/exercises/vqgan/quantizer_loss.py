"""Exercise: the codebook term and the commitment term."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_quantizer_loss
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import quantizer_loss

SHAPES = ((1,), (2,), (2, 2), (3, 2), (1, 3, 4), (2, 2, 3))
BETAS = (0.25, 0.5, 2.0)


def cases(seed: int) -> list[Case]:
    """From one number to a batch of pictures; β smaller and larger than 1; numbers of float64."""
    chance = generator(seed, "vqgan.quantizer_loss")
    beta = [BETAS[at] for at in torch.randperm(len(BETAS), generator=chance)]
    drawn: list[Case] = []
    for number, shape in enumerate(SHAPES):
        latents = _draw(-4, 5, shape, chance)
        steps = _draw(3, 7, shape, chance) * (-1) ** _draw(0, 2, shape, chance)
        drawn.append({"latents": latents, "quantized": latents + steps / 2, "beta": beta[number % len(BETAS)]})
    latents, quantized = (_draw(*ends, (4, 3), chance).double() for ends in ((-4, 0), (1, 5)))
    return [*drawn, {"latents": latents, "quantized": quantized, "beta": beta[0]}]


def _draw(low: int, high: int, shape: tuple[int, ...], chance: torch.Generator) -> Tensor:
    return torch.randint(low, high, shape, generator=chance).float()


def _terms(latents: Tensor, quantized: Tensor) -> tuple[Tensor, Tensor]:
    """The codebook term and the commitment term."""
    return (quantized - latents.detach()).pow(2).mean(), (latents - quantized.detach()).pow(2).mean()


def puts_beta_on_the_codebook_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The value is right, but β weighs the commitment: the term in which `quantized` is detached, and the latents
    move."""
    codebook, commitment = _terms(latents, quantized)
    return beta * codebook + commitment


def weighs_both_terms(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """β weighs only the commitment term; the codebook term counts once."""
    codebook, commitment = _terms(latents, quantized)
    return beta * (codebook + commitment)


def forgets_beta(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The commitment term counts β times."""
    codebook, commitment = _terms(latents, quantized)
    return codebook + commitment


def leaves_the_commitment_term_out(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Nothing keeps the latents near their codes: add β times the term in which only the latents move."""
    codebook, _ = _terms(latents, quantized)
    return codebook


def leaves_the_codebook_term_out(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Nothing moves the codes: add the term in which the latents are detached."""
    _, commitment = _terms(latents, quantized)
    return beta * commitment


def detaches_nothing(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The value is right, but each term pulls both sides, so β no longer tells the two sides apart: detach one side
    in each."""
    squares = (quantized - latents).square().mean()
    return squares + beta * squares


def detaches_the_latents_in_both_terms(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Only the codes move. In the commitment term the latents should: detach `quantized` there."""
    codebook, _ = _terms(latents, quantized)
    return codebook + beta * codebook


def detaches_the_codes_in_both_terms(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Only the latents move. In the codebook term the codes should: detach `latents` there."""
    _, commitment = _terms(latents, quantized)
    return commitment + beta * commitment


def detaches_nothing_in_the_commitment_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The value is right, but the commitment term moves the codes, too: detach `quantized` in it."""
    codebook, _ = _terms(latents, quantized)
    return codebook + beta * F.mse_loss(latents, quantized)


def detaches_nothing_in_the_codebook_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The value is right, but the codebook term moves the latents, too: detach `latents` in it."""
    _, commitment = _terms(latents, quantized)
    return F.mse_loss(quantized, latents) + beta * commitment


def detaches_both_sides_of_the_commitment_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The value is right, but nothing moves the latents: detach only `quantized` in the commitment term."""
    codebook, commitment = _terms(latents, quantized)
    return codebook + beta * commitment.detach()


def lets_no_gradient_through(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """With both sides detached, nothing is learned: detach only the one that is to stay."""
    return (1 + beta) * (latents - quantized).detach().square().mean()


def subtracts_the_commitment_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """A plus: with a minus, the loss gets smaller the farther the latents go away from their codes."""
    codebook, commitment = _terms(latents, quantized)
    return codebook - beta * commitment


def weighs_the_codebook_term_with_1_minus_beta(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """This is no mixture of two parts: the codebook term counts once, whatever β is."""
    codebook, commitment = _terms(latents, quantized)
    return (1 - beta) * codebook + beta * commitment


def adds_up_instead_of_averaging(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The loss must not grow with the batch: take the mean over all numbers."""
    codebook, commitment = _terms(latents, quantized)
    return latents.numel() * (codebook + beta * commitment)


def averages_only_over_the_latents(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The mean is over all numbers, the D numbers of a latent included. You add those up."""
    codebook, commitment = _terms(latents, quantized)
    return latents.shape[-1] * (codebook + beta * commitment)


def returns_a_loss_for_each_latent(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The loss is one number: take the mean over all dimensions, not only over the last one."""
    codebook, commitment = (quantized - latents.detach()).square(), (latents - quantized.detach()).square()
    return (codebook + beta * commitment).mean(dim=-1)


def takes_absolute_differences(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Square the differences: ‖·‖² in the formula. `l1_loss` does not."""
    return F.l1_loss(quantized, latents.detach()) + beta * F.l1_loss(latents, quantized.detach())


def takes_the_root(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """The mean of the squares is the loss: no root, and so no `norm`."""
    codebook, commitment = _terms(latents, quantized)
    return codebook.sqrt() + beta * commitment.sqrt()


def squares_the_differences_itself(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Right: the formula, term by term."""
    codebook = torch.mean((latents.detach() - quantized) ** 2)
    commitment = torch.mean((latents - quantized.detach()) ** 2)
    return codebook + commitment * beta


def adds_before_it_averages(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Right: both terms of each number first."""
    pulls_codes = F.mse_loss(quantized, latents.detach(), reduction="none")
    pulls_latents = F.mse_loss(quantized.detach(), latents, reduction="none")
    return pulls_codes.add(pulls_latents, alpha=beta).sum() / latents.numel()


def freezes_copies_first(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Right: constants made under no_grad, and a dot product."""
    with torch.no_grad():
        fixed_latents, fixed_codes = latents.clone(), quantized.clone()
    codebook, commitment = (fixed_latents - quantized).flatten(), (fixed_codes - latents).flatten()
    return (codebook @ codebook + beta * (commitment @ commitment)) / len(codebook)


HINTS = (
    "There are two terms of the same value. What differs is who moves: in the codebook term the latents stay and the "
    "codes come; in the commitment term it is the other way round, and it counts β times.",
    "mean((sg(latents) − quantized)²) + β · mean((latents − sg(quantized))²), where sg(x) is `x.detach()`: a constant. "
    "`F.mse_loss` takes the mean over all numbers.",
    """\
def quantizer_loss(latents, quantized, beta):
    codebook = F.mse_loss(..., ...)  # moves the codes: what has to stay?
    commitment = F.mse_loss(..., ...)  # moves the latents
    return ...
""",
)

EXERCISE = Exercise(
    id="vqgan.quantizer_loss",
    points=3,
    minutes=15,
    stars=2,
    reference=quantizer_loss,
    cases=cases,
    wrong=(
        puts_beta_on_the_codebook_term,
        weighs_both_terms,
        forgets_beta,
        leaves_the_commitment_term_out,
        leaves_the_codebook_term_out,
        detaches_nothing,
        detaches_the_latents_in_both_terms,
        detaches_the_codes_in_both_terms,
        detaches_nothing_in_the_commitment_term,
        detaches_nothing_in_the_codebook_term,
        detaches_both_sides_of_the_commitment_term,
        lets_no_gradient_through,
        subtracts_the_commitment_term,
        weighs_the_codebook_term_with_1_minus_beta,
        adds_up_instead_of_averaging,
        averages_only_over_the_latents,
        returns_a_loss_for_each_latent,
        takes_absolute_differences,
        takes_the_root,
    ),
    also_right=(squares_the_differences_itself, adds_before_it_averages, freezes_copies_first),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_quantizer_loss,
    tolerance=1e-4,
)
