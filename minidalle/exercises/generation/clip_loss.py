"""Exercise: the loss that brings pictures and their captions together."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.clip.contrast import clip_loss
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_clip_loss
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """Two pairs in the plane, alike and mixed up; three, in space, many; the same caption twice; a large scale."""
    chance = generator(seed, "generation.clip_loss")

    def number(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=chance))

    def plane(*degrees: float) -> Tensor:
        """Vectors of length 1, each at an angle near the one that is given."""
        angles = [math.radians(one + number(-12, 12)) for one in degrees]
        return torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])

    def space(rows: int, width: int) -> Tensor:
        return F.normalize(torch.randn(rows, width, generator=chance), dim=1)

    def case(image_vectors: Tensor, text_vectors: Tensor, scale: float) -> Case:
        return {"image_vectors": image_vectors, "text_vectors": text_vectors, "scale": torch.tensor(scale)}

    pictures, texts = space(4, 3), space(3, 3)
    return [
        case(plane(0, 60), plane(40, 140), number(1.5, 3)),
        case(plane(30, 170), plane(150, 60), number(1.5, 3)),
        case(plane(20, 90, 200), plane(60, 100, 260), number(2, 4)),
        case(pictures, texts[[0, 1, 0, 2]], number(3, 5)),
        case(space(5, 4), space(5, 4), number(0.3, 0.6)),
        case(space(7, 3), space(7, 3), number(12, 16)),
    ]


def _logits(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    return scale * image_vectors @ text_vectors.T


def _own(logits: Tensor) -> Tensor:
    return torch.arange(len(logits), device=logits.device)


def _symmetric(logits: Tensor) -> Tensor:
    return (F.cross_entropy(logits, _own(logits)) + F.cross_entropy(logits.T, _own(logits))) / 2


def lets_only_pictures_look(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Captions look for their pictures, too: the same with the table turned, and the mean of both."""
    logits = _logits(image_vectors, text_vectors, scale)
    return F.cross_entropy(logits, _own(logits))


def lets_only_captions_look(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Pictures look for their captions, too: both ways, and the mean of them."""
    logits = _logits(text_vectors, image_vectors, scale)
    return F.cross_entropy(logits, _own(logits))


def adds_both_ways(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The mean of the two cross-entropies, not their sum: else a model that cannot tell has 2 ln B."""
    return 2 * _symmetric(_logits(image_vectors, text_vectors, scale))


def adds_the_batch_up(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The loss is a mean over the batch. As a sum it grows with the number of pairs."""
    return len(image_vectors) * _symmetric(_logits(image_vectors, text_vectors, scale))


def forgets_the_scale(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Cosines are between −1 and 1, and softmax makes hardly a difference of that: multiply by `scale`."""
    return _symmetric(_logits(image_vectors, text_vectors, 1.0))


def divides_by_the_scale(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """`scale` is the inverse of a temperature: multiply by it."""
    return _symmetric(_logits(image_vectors, text_vectors, 1 / scale))


def takes_the_scale_for_a_logarithm(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Here `scale` is the factor itself. The model keeps its logarithm, and has taken `exp` of that already."""
    return _symmetric(_logits(image_vectors, text_vectors, torch.as_tensor(scale).exp()))


def scales_both_sides(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Each cosine is multiplied by `scale` once. With both vectors scaled, it is its square."""
    return _symmetric(_logits(scale * image_vectors, text_vectors, scale))


def multiplies_the_loss(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """`scale` belongs before the softmax: it makes the logits, not the loss, larger."""
    return scale * _symmetric(_logits(image_vectors, text_vectors, 1.0))


def takes_one_softmax_for_all_pairs(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Each picture chooses among the captions, and each caption among the pictures: a softmax for each row, and one
    for each column."""
    logits = _logits(image_vectors, text_vectors, scale)
    return -logits.flatten().log_softmax(0).view_as(logits).diagonal().mean()


def asks_each_pair_on_its_own(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Yes or no for each pair is another loss. Here each picture chooses one of the captions: a softmax, not a
    sigmoid."""
    logits = _logits(image_vectors, text_vectors, scale)
    return F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits), device=logits.device))


def takes_the_softmax_twice(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """`F.cross_entropy` wants logits, and does the softmax itself."""
    logits = _logits(image_vectors, text_vectors, scale)
    rows, columns = logits.softmax(1), logits.T.softmax(1)
    return (F.cross_entropy(rows, _own(logits)) + F.cross_entropy(columns, _own(logits))) / 2


def forgets_the_logarithm(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """A cross-entropy is minus the logarithm of the right one's probability; you subtract that from 1."""
    logits = _logits(image_vectors, text_vectors, scale)
    return 1 - (logits.softmax(0) + logits.softmax(1)).diagonal().mean() / 2


def forgets_the_minus(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The logarithm of a probability is negative, and a loss is to be large where the probability is small: change
    the sign."""
    return -_symmetric(_logits(image_vectors, text_vectors, scale))


def calls_the_first_one_right(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Picture i belongs to caption i: the right places are 0, 1, 2 and so on, not 0 for all."""
    logits = _logits(image_vectors, text_vectors, scale)
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return (F.cross_entropy(logits, first) + F.cross_entropy(logits.T, first)) / 2


def leaves_the_right_one_out_below(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Below the fraction line of a softmax all of them stand, the right one as well."""
    logits = _logits(image_vectors, text_vectors, scale)
    others = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -torch.inf)
    return ((others.logsumexp(0) + others.logsumexp(1)) / 2 - logits.diagonal()).mean()


def forgives_the_same_caption(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """It makes sense, but it is another loss: here only row i is right for row i, whatever the others say."""
    same = (text_vectors.unsqueeze(1) == text_vectors).all(-1).float()
    right = same / same.sum(1, keepdim=True)
    logits = _logits(image_vectors, text_vectors, scale)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def only_pulls_together(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """All vectors could be the same one, and this loss would be 0. The others of the batch must push away."""
    return scale * (1 - (image_vectors * text_vectors).sum(1)).mean()


def compares_pictures_with_pictures(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The columns of the table are captions: one side of the product is `text_vectors`."""
    return _symmetric(_logits(image_vectors, image_vectors, scale))


def measures_distances(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The logits are made of cosines, dot products of vectors of length 1. A distance orders them alike, but it is
    another number."""
    squares = 2 - 2 * image_vectors @ text_vectors.T
    return _symmetric(-scale * (squares.clamp(min=0) + 1e-12).sqrt())


def lets_the_scale_learn_nothing(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The loss is right, but `scale` is learned, too: as a plain number, by `item` or `float`, it gets no gradient."""
    return _symmetric(_logits(image_vectors, text_vectors, torch.as_tensor(scale).item()))


def lets_captions_learn_nothing(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """The loss is right, but both sides learn: detach neither."""
    return _symmetric(_logits(image_vectors, text_vectors.detach(), scale))


def returns_a_plain_number(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> float:
    """What is returned is a Tensor that can be learned from: `.item()` makes a Python number of it."""
    return _symmetric(_logits(image_vectors, text_vectors, scale)).item()


def with_the_logarithm_of_softmax(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Right: log-probabilities along the rows and along the columns; the right ones are on the diagonal."""
    logits = image_vectors @ text_vectors.mT * scale
    return -(logits.log_softmax(dim=0) + logits.log_softmax(dim=1)).diagonal().mean() / 2


def normalizes_again(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Right: vectors of length 1 stay as they are, and the numerators are all the same."""
    pictures, texts = (F.normalize(vectors, dim=-1) for vectors in (image_vectors, text_vectors))
    cosines = torch.einsum("ie,te->it", pictures, texts)
    below = (torch.logsumexp(scale * cosines, 0) + torch.logsumexp(scale * cosines, 1)) / 2
    return (below - scale * cosines.diagonal()).mean()


def pair_by_pair(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """Right: the probability that each one finds its own, and the logarithm at the end."""
    losses = []
    for n in range(len(image_vectors)):
        for one, others in ((image_vectors[n], text_vectors), (text_vectors[n], image_vectors)):
            losses.append(-((scale * (others @ one)).softmax(0)[n]).log())
    return torch.stack(losses).mean()


HINTS = (
    "Make a table of all cosines, a row for each picture, a column for each caption. Each row is a multiple-choice "
    "question whose right answer is on the diagonal; so is each column.",
    "logits = scale · I Tᵀ [B, B]. `F.cross_entropy(logits, right)` asks the rows, where `right` is 0, 1, … B − 1, and "
    "with the table turned, `logits.T`, the columns. The loss is the mean of the two.",
    """\
def clip_loss(image_vectors, text_vectors, scale):
    logits = ...  # [B, B]
    right = torch.arange(len(logits), device=logits.device)
    pictures = F.cross_entropy(logits, right)
    captions = ...
    return ...
""",
)

EXERCISE = Exercise(
    id="generation.clip_loss",
    points=3,
    minutes=15,
    stars=2,
    reference=clip_loss,
    cases=cases,
    wrong=(
        lets_only_pictures_look,
        lets_only_captions_look,
        adds_both_ways,
        adds_the_batch_up,
        forgets_the_scale,
        divides_by_the_scale,
        takes_the_scale_for_a_logarithm,
        scales_both_sides,
        multiplies_the_loss,
        takes_one_softmax_for_all_pairs,
        asks_each_pair_on_its_own,
        takes_the_softmax_twice,
        forgets_the_logarithm,
        forgets_the_minus,
        calls_the_first_one_right,
        leaves_the_right_one_out_below,
        forgives_the_same_caption,
        only_pulls_together,
        compares_pictures_with_pictures,
        measures_distances,
        lets_the_scale_learn_nothing,
        lets_captions_learn_nothing,
        returns_a_plain_number,
    ),
    also_right=(with_the_logarithm_of_softmax, normalizes_again, pair_by_pair),
    hints=HINTS,
    reaches="ClipStage.step",
    forbid=("transformers",),
    probe=probe_clip_loss,
    tolerance=1e-4,
)
