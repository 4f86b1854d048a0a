"""Exercise: for every picture, the row of the first one that is the same."""

import numpy as np
import torch
from torch import Tensor

from minidalle.data.duplicates import find_duplicates
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.explore import probe_find_duplicates
from minidalle.runtime import numpy_generator


def cases(seed: int) -> list[Case]:
    """From one picture to eight: copies side by side and far apart, and pictures that only nearly are copies."""
    random = numpy_generator(seed, "explore.find_duplicates")
    a, b, c, d = (torch.from_numpy(random.integers(20, 230, (2, 2, 3)).astype(np.uint8)) for _ in range(4))
    lighter = a.clone()
    lighter[1, 1, 2] += 1
    moved = b.roll(1, dims=1)
    same_sum = b.clone()
    same_sum[0, 0, 0] += 1
    same_sum[1, 1, 1] -= 1
    other_blue = c.clone()
    other_blue[..., 2] = 255 - c[..., 2]
    end = d.clone()
    end[1:] = 255 - d[1:]
    large = torch.from_numpy(random.integers(20, 230, (20, 20, 3)).astype(np.uint8))
    middle = large.clone()
    middle[10, 10] += 1

    def case(*pictures: Tensor) -> Case:
        return {"pictures": torch.stack(pictures)}

    return [
        case(a[:1, :1]),
        case(a, b),
        case(a, a),
        case(a, b, a),
        case(b, a, a, c, a, b),
        case(a, lighter),
        case(b, moved, b),
        case(b, same_sum, b),
        case(c, other_blue, d, end),
        case(d, c, b, c, a, d, c, b),
        case(large, middle, large),
    ]


def points_to_the_copy_before(pictures: np.ndarray) -> list[int]:
    """Of three copies the third, too, points to the first: write a picture's row down only when it is new."""
    latest: dict[bytes, int] = {}
    found = []
    for row, picture in enumerate(pictures):
        found.append(latest.get(picture.tobytes(), row))
        latest[picture.tobytes()] = row
    return found


def points_to_the_last_copy(pictures: np.ndarray) -> list[int]:
    """A later copy has taken the first one's place in your table. The first row that has the picture stays."""
    last = {picture.tobytes(): row for row, picture in enumerate(pictures)}
    return [last[picture.tobytes()] for picture in pictures]


def numbers_the_kinds(pictures: np.ndarray) -> list[int]:
    """What is wanted is the row where a picture first stands, not which kind it is: A, A, B is 0, 0, 2."""
    kinds: dict[bytes, int] = {}
    return [kinds.setdefault(picture.tobytes(), len(kinds)) for picture in pictures]


def looks_only_at_the_neighbor(pictures: np.ndarray) -> list[int]:
    """Copies need not stand side by side: compare with all pictures before, not only with the last one."""
    found: list[int] = []
    for row, picture in enumerate(pictures):
        same = row > 0 and np.array_equal(picture, pictures[row - 1])
        found.append(found[-1] if same else row)
    return found


def compares_sums(pictures: np.ndarray) -> list[int]:
    """Two different pictures can have the same sum or mean of pixels. Compare every pixel, at its place."""
    first: dict[int, int] = {}
    return [first.setdefault(int(picture.sum()), row) for row, picture in enumerate(pictures)]


def compares_only_the_first_color(pictures: np.ndarray) -> list[int]:
    """Red alone is not enough: the last axis has three colors, and all of them have to agree."""
    first: dict[bytes, int] = {}
    return [first.setdefault(picture[..., 0].tobytes(), row) for row, picture in enumerate(pictures)]


def compares_only_the_first_row_of_pixels(pictures: np.ndarray) -> list[int]:
    """picture[0] is a picture's uppermost line of pixels. Compare the whole picture."""
    first: dict[bytes, int] = {}
    return [first.setdefault(picture[0].tobytes(), row) for row, picture in enumerate(pictures)]


def takes_nearly_equal_for_equal(pictures: np.ndarray) -> list[int]:
    """A copy is equal in every pixel. One level of brightness in one pixel makes another picture."""
    floats = pictures / 255
    return [next(row for row, first in enumerate(floats) if np.abs(first - one).max() < 0.01) for one in floats]


def gives_minus_1_where_there_is_no_copy(pictures: np.ndarray) -> list[int]:
    """A picture without an earlier copy points to itself: its own row, not −1."""
    found = finds_the_unique_ones(pictures)
    return [first if first != row else -1 for row, first in enumerate(found)]


def lists_only_the_copies(pictures: np.ndarray) -> list[int]:
    """There is one number for every picture, R in all: where it first stands. You list the rows of the copies."""
    return [row for row, first in enumerate(finds_the_unique_ones(pictures)) if first != row]


def counts_the_copies(pictures: np.ndarray) -> list[int]:
    """Not how often a picture occurs is wanted, but the row where it occurs first."""
    keys = [picture.tobytes() for picture in pictures]
    return [keys.count(key) for key in keys]


def counts_rows_from_1(pictures: np.ndarray) -> list[int]:
    """Rows are numbered from 0: the first picture is row 0, as `enumerate` counts."""
    return [first + 1 for first in finds_the_unique_ones(pictures)]


def takes_one_equal_number_for_equal(pictures: np.ndarray) -> list[int]:
    """*All* numbers of two pictures have to be equal, not any of them: `np.array_equal`."""
    return [min(j for j in range(row + 1) if (pictures[row] == pictures[j]).any()) for row in range(len(pictures))]


def never_looks_at_row_0(pictures: np.ndarray) -> list[int]:
    """The search begins at row 0: a copy of the very first picture is a copy, too."""
    same = [[j for j in range(1, row) if np.array_equal(pictures[row], pictures[j])] for row in range(len(pictures))]
    return [found[0] if found else row for row, found in enumerate(same)]


def compares_printed_pictures(pictures: np.ndarray) -> list[int]:
    """`str` of a large array leaves its middle out, so that different pictures look alike: take `tobytes()`."""
    first: dict[str, int] = {}
    return [first.setdefault(str(picture), row) for row, picture in enumerate(pictures)]


def forgets_the_places(pictures: np.ndarray) -> list[int]:
    """The same pixels in other places are another picture: do not sort them before you compare."""
    colors = [sorted(map(tuple, picture.reshape(-1, 3).tolist())) for picture in pictures]
    return [colors.index(one) for one in colors]


def compares_each_with_each(pictures: np.ndarray) -> list[int]:
    """Right, and slow for many pictures: all pairs, until one is the same."""
    found = []
    for picture in pictures:
        row = 0
        while not np.array_equal(pictures[row], picture):
            row += 1
        found.append(row)
    return found


def finds_the_unique_ones(pictures: np.ndarray) -> list[int]:
    """Right: NumPy sorts the pictures, and says of each kind where it stood first."""
    _, first, kind = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True, return_inverse=True)
    return [int(row) for row in first[kind.reshape(-1)]]


def looks_it_up_in_a_list(pictures: np.ndarray) -> list[int]:
    """Right: as lists of numbers, and `index` finds the first."""
    rows = [picture.tolist() for picture in pictures]
    return [rows.index(row) for row in rows]


HINTS = (
    "Keep a table of the pictures that you have seen, each with the row where it stood first. An array cannot be the "
    "key of a dict, but its bytes can: `picture.tobytes()`.",
    "first[bytes of the picture] = the smallest row with these bytes. A picture that is in the table already keeps "
    "the row that is written there; the result for each picture is what the table says of it.",
    """\
def find_duplicates(pictures):
    first = {}  # the bytes of a picture → its first row
    rows = []
    for row, picture in enumerate(pictures):
        key = ...
        if key not in first:
            first[key] = ...
        rows.append(...)
    return rows
""",
)

EXERCISE = Exercise(
    id="explore.find_duplicates",
    points=3,
    minutes=15,
    stars=2,
    reference=find_duplicates,
    cases=cases,
    wrong=(
        points_to_the_copy_before,
        points_to_the_last_copy,
        numbers_the_kinds,
        looks_only_at_the_neighbor,
        compares_sums,
        compares_only_the_first_color,
        compares_only_the_first_row_of_pixels,
        takes_nearly_equal_for_equal,
        gives_minus_1_where_there_is_no_copy,
        lists_only_the_copies,
        counts_the_copies,
        counts_rows_from_1,
        forgets_the_places,
        takes_one_equal_number_for_equal,
        never_looks_at_row_0,
        compares_printed_pictures,
    ),
    also_right=(compares_each_with_each, finds_the_unique_ones, looks_it_up_in_a_list),
    hints=HINTS,
    reaches="mark_duplicates",
    probe=probe_find_duplicates,
)
