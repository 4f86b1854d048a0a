"""Small exercises of different kinds, in one file as an instructor would write it: it imports nothing of the tests."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise, Function, Plain

HINTS = ("Go through them one by one.", "total = x₁ + x₂ + …", "def f(x):\n    total = ...\n    return total\n")


def add_up(numbers: list[int]) -> int:
    """The sum of numbers."""
    total = 0
    for number in numbers:
        total += number
    return total


def forgets_the_last(numbers: list[int]) -> int:
    """The last number counts, too."""
    return sum(numbers[:-1])


def multiplies(numbers: list[int]) -> int:
    """Add, do not multiply."""
    return int(torch.tensor(numbers, dtype=torch.long).prod())


def stops_at_zero(numbers: list[int]) -> int:
    """A zero is a number like any other."""
    return sum(numbers[: numbers.index(0)] if 0 in numbers else numbers)


def takes_the_first_out(numbers: list[int]) -> int:
    """Leave the list as it is."""
    first = numbers.pop(0) if numbers else 0
    return first + sum(numbers)


ADD_UP = Exercise(
    id="toy.add_up", points=4, minutes=5, stars=1, reference=add_up,
    cases=lambda seed: [{"numbers": numbers} for numbers in ([], [3], [4, seed + 5], [7, 0, 2], [1, 2, 3, 4])],
    wrong=(forgets_the_last, multiplies, stops_at_zero, takes_the_first_out),
    also_right=(lambda numbers: sum(numbers), lambda numbers: sum(number for number in numbers)),
    hints=HINTS, reaches="print",
)  # fmt: skip


def scale(x: Tensor, by: float) -> Tensor:
    """Each row, so that its largest entry is `by`."""
    return x / x.max(dim=1, keepdim=True).values * by


def by_the_whole(x: Tensor, by: float) -> Tensor:
    """Each row has its own largest entry."""
    return x / x.max() * by


def by_columns(x: Tensor, by: float) -> Tensor:
    """Along dim 1, the rows."""
    return x / x.max(dim=0, keepdim=True).values * by


def without_by(x: Tensor, by: float) -> Tensor:
    """Multiply by `by` at the end."""
    return x / x.max(dim=1, keepdim=True).values


def by_the_sum(x: Tensor, by: float) -> Tensor:
    """Divide by the largest entry, not by the sum."""
    return x / x.sum(dim=1, keepdim=True) * by


def _tensor_cases(seed: int) -> list[Case]:
    random = torch.Generator().manual_seed(seed)
    return [{"x": torch.rand(size, generator=random) + 0.5, "by": 2.0} for size in ((1, 2), (2, 3), (4, 3))]


SCALE = Exercise(
    id="toy.scale", points=10, minutes=5, stars=2, reference=scale, cases=_tensor_cases, tolerance=1e-4,
    wrong=(by_the_whole, by_columns, without_by, by_the_sum),
    also_right=(lambda x, by: by * x / x.amax(1, keepdim=True), lambda x, by: (x.T / x.T.amax(0) * by).T),
    hints=HINTS, reaches="print", forbid=("torch.nn.functional.normalize", "scipy", "torch.Tensor.div_"),
)  # fmt: skip


def square(x: Tensor) -> Tensor:
    """x², for autograd to go through."""
    return x**2


def cubes(x: Tensor) -> Tensor:
    """Two factors, not three."""
    return x**3


def doubles(x: Tensor) -> Tensor:
    """x · x, not x + x."""
    return x + x


def holds_one_factor(x: Tensor) -> Tensor:
    """Both factors take part in the gradient."""
    return x * x.detach()


def turns_it_around(x: Tensor) -> Tensor:
    """A square is positive."""
    return -(x**2)


def probe_gradient(function: Function, x: Tensor) -> Plain:
    """The value, and the gradient of its sum."""
    leaf = x.requires_grad_()
    y = function(leaf)
    gradients = torch.autograd.grad(y.sum(), leaf)[0] if y.requires_grad else None
    return {"value": y, "gradients": gradients}


SQUARE = Exercise(
    id="toy.square", points=10, minutes=5, stars=3, reference=square, probe=probe_gradient, tolerance=1e-5,
    cases=lambda seed: [{"x": torch.arange(1.0, size)} for size in (2, 4)],
    wrong=(cubes, doubles, holds_one_factor, turns_it_around),
    also_right=(lambda x: x * x, lambda x: x.pow(2)),
    hints=HINTS, reaches="print",
)  # fmt: skip


def note_down(counts: dict[str, int], word: str) -> None:
    """Add one to a word's count, in place."""
    counts[word] = counts.get(word, 0) + 1


def starts_anew(counts: dict[str, int], word: str) -> None:
    """A word that was there counts on."""
    counts[word] = 1


def adds_two(counts: dict[str, int], word: str) -> None:
    """Add one."""
    counts[word] = counts.get(word, 0) + 2


def knows_no_new_words(counts: dict[str, int], word: str) -> None:
    """A new word begins at 0."""
    if word in counts:
        counts[word] += 1


def takes_it_out(counts: dict[str, int], word: str) -> None:
    """The word stays."""
    counts.pop(word, None)


def probe_counts(function: Function, counts: dict[str, int], word: str) -> Plain:
    """The counts afterwards."""
    function(counts, word)
    return counts  # type: ignore[return-value]


NOTE_DOWN = Exercise(
    id="toy.note_down", points=2, minutes=5, stars=1, reference=note_down, probe=probe_counts,
    cases=lambda seed: [{"counts": {}, "word": "a"}, {"counts": {"a": 1}, "word": "a"}],
    wrong=(starts_anew, adds_two, knows_no_new_words, takes_it_out),
    also_right=(
        lambda counts, word: counts.update({word: counts.get(word, 0) + 1}),
        lambda counts, word: counts.__setitem__(word, counts.get(word, 0) + 1),
    ),
    hints=HINTS, reaches="print",
)  # fmt: skip


def mean(numbers: list[int]) -> float:
    """The mean; 0.0 of nothing."""
    return add_up(numbers) / len(numbers) if numbers else 0.0


def rounds_down(numbers: list[int]) -> float:
    """Divide with /, not with //."""
    return float(add_up(numbers) // len(numbers)) if numbers else 0.0


def divides_by_one_more(numbers: list[int]) -> float:
    """Divide by how many there are."""
    return add_up(numbers) / (len(numbers) + 1)


def forgets_that_there_may_be_none(numbers: list[int]) -> float:
    """Of nothing it is 0.0."""
    return add_up(numbers) / len(numbers)


def takes_the_middle(numbers: list[int]) -> float:
    """That is the median."""
    return float(sorted(numbers)[len(numbers) // 2]) if numbers else 0.0


MEAN = Exercise(
    id="toy.mean", points=3, minutes=5, stars=2, reference=mean, needs=("toy.add_up",), forbid=("statistics",),
    tolerance=1e-9,
    cases=lambda seed: [{"numbers": numbers} for numbers in ([], [2], [1, 2, 7], [1, 1, 3])],
    wrong=(rounds_down, divides_by_one_more, forgets_that_there_may_be_none, takes_the_middle),
    also_right=(lambda numbers: float(sum(numbers)) / max(1, len(numbers)),
                lambda numbers: sum(number / len(numbers) for number in numbers) * 1.0),
    hints=HINTS, reaches="print",
)  # fmt: skip
