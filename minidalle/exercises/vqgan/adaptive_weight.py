"""Exercise: how loud the discriminator may be."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_losses import probe_adaptive_weight
from minidalle.runtime import generator
from minidalle.vqgan.losses import adaptive_weight


def cases(seed: int) -> list[Case]:
    """Two numbers, a convolution's weight; a critic as good as silent, one that is silent; a low ceiling."""
    chance = generator(seed, "vqgan.adaptive_weight")

    def drawn(norm: float, *shape: int) -> Tensor:
        """A gradient whose norm is between this one and twice as much."""
        direction = torch.randn(*shape, generator=chance)
        return direction * (1 + torch.rand((), generator=chance)) * norm / direction.norm()

    def case(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Case:
        return {"rec_grad": rec_grad, "gan_grad": gan_grad, "clamp": clamp}

    low = float(torch.randint(3, 9, (), generator=chance))
    return [
        case(drawn(3, 2), drawn(1, 2)),
        case(drawn(1, 3, 2, 3, 3), drawn(2, 3, 2, 3, 3)),
        case(drawn(0.002, 3, 2, 1, 1), drawn(0.0001, 3, 2, 1, 1)),
        case(drawn(0.001, 3, 2, 3, 3), torch.zeros(3, 2, 3, 3)),
        case(drawn(5, 3, 2, 1, 1), torch.zeros(3, 2, 1, 1)),
        case(drawn(9, 3, 2, 3, 3), drawn(0.4, 3, 2, 3, 3), low),
    ]


def divides_the_wrong_way_around(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """A strong critic needs a small weight: the norm of its gradient, gan_grad, is what you divide by."""
    return (gan_grad.norm() / (rec_grad.norm() + 1e-4)).clamp(0, clamp).detach()


def forgets_to_detach(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The values are right, but the weight is part of a graph: `.detach()` makes it the number that it should be."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(0, clamp)


def detaches_only_gan_grad(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """A gradient still flows back to rec_grad: detach the result, and with it both."""
    return (rec_grad.norm() / (gan_grad.detach().norm() + 1e-4)).clamp(0, clamp)


def detaches_only_rec_grad(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """A gradient still flows back to gan_grad: detach the result, and with it both."""
    return (rec_grad.detach().norm() / (gan_grad.norm() + 1e-4)).clamp(0, clamp)


def forgets_the_clamp(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The weight is at most `clamp`. Without it, it explodes where gan_grad is nearly 0."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).detach()


def clamps_always_at_10000(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The largest weight is the argument `clamp`; 10 000 is only what it is if nobody says otherwise."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(0, 1e4).detach()


def clamps_the_norm_of_rec_grad(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """`clamp` is the largest weight: divide first, and clamp what comes out."""
    return (rec_grad.norm().clamp(0, clamp) / (gan_grad.norm() + 1e-4)).detach()


def clamps_from_below(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """`clamp` is the largest weight, not the smallest. The first argument of torch's `clamp` is the minimum: `max=`."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(clamp).detach()


def adds_nothing_to_the_norm(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """1e-4 is added to the norm of gan_grad before you divide, so that this is never 0: mind the brackets."""
    return (rec_grad.norm() / gan_grad.norm()).clamp(0, clamp).detach()


def adds_too_small_a_number(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """What is added to the norm is 1e-4. With less than that, a critic that is nearly silent gets too loud."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-6)).clamp(0, clamp).detach()


def uses_the_small_number_as_a_minimum(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """1e-4 is added to the norm of gan_grad, however large that is. You take the larger of the two."""
    return (rec_grad.norm() / gan_grad.norm().clamp(min=1e-4)).clamp(0, clamp).detach()


def adds_the_small_number_under_the_root(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """1e-4 is added to the norm itself. Under the root it is a hundred times as much: the root of 1e-4 is 0.01."""
    return (rec_grad.norm() / (gan_grad.square().sum() + 1e-4).sqrt()).clamp(0, clamp).detach()


def adds_the_small_number_above_too(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """1e-4 belongs below the fraction line only. Above it, a pull of 0 would no longer give the weight 0."""
    return ((rec_grad.norm() + 1e-4) / (gan_grad.norm() + 1e-4)).clamp(0, clamp).detach()


def forgets_the_root(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """A norm is the root of the sum of squares. Without the root, twice the pull counts four times."""
    return (rec_grad.square().sum() / (gan_grad.square().sum() + 1e-4)).clamp(0, clamp).detach()


def adds_up_absolute_values(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The norm is the length of the gradient as an arrow: the root of the sum of its squared numbers, `.norm()`."""
    return (rec_grad.abs().sum() / (gan_grad.abs().sum() + 1e-4)).clamp(0, clamp).detach()


def takes_the_root_of_the_mean(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The norm is the root of the sum of squares, not of their mean, beside which 1e-4 counts for more: `.norm()`."""
    pulls = [gradient.square().mean().sqrt() for gradient in (rec_grad, gan_grad)]
    return (pulls[0] / (pulls[1] + 1e-4)).clamp(0, clamp).detach()


def averages_absolute_values(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """How long a gradient is, no mean says: the norm is the root of the sum of its squared numbers, `.norm()`."""
    return (rec_grad.abs().mean() / (gan_grad.abs().mean() + 1e-4)).clamp(0, clamp).detach()


def takes_the_largest_number(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The largest number is only one of many that pull. The norm has all of them in it: `.norm()`."""
    return (rec_grad.abs().max() / (gan_grad.abs().max() + 1e-4)).clamp(0, clamp).detach()


def takes_the_mean_of_the_gradient(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """How strong a pull is, its mean does not say, as plus and minus cancel. Take the norm: `.norm()`."""
    return (rec_grad.mean() / (gan_grad.mean() + 1e-4)).clamp(0, clamp).detach()


def divides_number_by_number(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """First the norm of each gradient, then one division. The norm of a quotient is something else."""
    return (rec_grad / (gan_grad.abs() + 1e-4)).norm().clamp(0, clamp).detach()


def returns_a_plain_number(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> float:
    """What is returned is a Tensor without a graph: `.detach()` keeps it one, `.item()` makes a Python number of it."""
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(0, clamp).item()


def without_a_graph(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """Right: where no graph is made, nothing has to be detached."""
    with torch.no_grad():
        pulls = [gradient.square().sum().sqrt() for gradient in (rec_grad, gan_grad)]
        return torch.clamp(pulls[0] / (pulls[1] + 1e-4), max=clamp)


def detaches_first(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """Right: gradients as plain rows of numbers, and the smaller of two."""
    pixels, opinion = rec_grad.detach().flatten(), gan_grad.detach().flatten()
    weight = torch.linalg.vector_norm(pixels) / torch.linalg.vector_norm(opinion).add(1e-4)
    return torch.minimum(weight, torch.full_like(weight, clamp))


def asks_whether_it_is_too_large(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """Right: an if, and a new tensor, which has no graph."""
    length = (gan_grad * gan_grad).sum().item() ** 0.5
    weight = torch.dist(rec_grad, torch.zeros_like(rec_grad)).item() / (length + 1e-4)
    if weight > clamp:
        weight = clamp
    return torch.tensor(weight, dtype=rec_grad.dtype, device=rec_grad.device)


HINTS = (
    "Both losses pull at the same weights. How hard each pulls is the length of its gradient; what factor makes the "
    "second as long as the first?",
    "λ = ‖rec_grad‖ / (‖gan_grad‖ + 1e-4), and at most `clamp`. ‖g‖ is the root of the sum of all squared numbers, "
    "`g.norm()`, and `.detach()` takes the result out of the graph.",
    """\
def adaptive_weight(rec_grad, gan_grad, clamp=1e4):
    weight = ... / (... + 1e-4)
    weight = weight.clamp(max=...)
    return ...  # out of the graph
""",
)

EXERCISE = Exercise(
    id="vqgan.adaptive_weight",
    points=3,
    minutes=15,
    stars=2,
    reference=adaptive_weight,
    cases=cases,
    wrong=(
        divides_the_wrong_way_around,
        forgets_to_detach,
        detaches_only_gan_grad,
        detaches_only_rec_grad,
        forgets_the_clamp,
        clamps_always_at_10000,
        clamps_the_norm_of_rec_grad,
        clamps_from_below,
        adds_nothing_to_the_norm,
        adds_too_small_a_number,
        uses_the_small_number_as_a_minimum,
        adds_the_small_number_under_the_root,
        adds_the_small_number_above_too,
        forgets_the_root,
        adds_up_absolute_values,
        takes_the_root_of_the_mean,
        averages_absolute_values,
        takes_the_largest_number,
        takes_the_mean_of_the_gradient,
        divides_number_by_number,
        returns_a_plain_number,
    ),
    also_right=(without_a_graph, detaches_first, asks_whether_it_is_too_large),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_adaptive_weight,
    tolerance=1e-3,
)
