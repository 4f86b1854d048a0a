"""Exercise: rows of ids made equally long, with a mask."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.tokenization import probe_pad_batch
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import pad_batch
from minidalle.tokenization.config import END, PAD, START

Rows = Sequence[Sequence[int]]


def cases(seed: int) -> list[Case]:
    """Rows that fit exactly, are too short, too long, all of it; a real id that looks like filling."""
    random = numpy_generator(seed, "tokenization.pad_batch")
    a, b, c, d, e, other = random.permutation(range(5, 1000))[:6].tolist()
    return [
        {"rows": [[START, a, END]], "length": 3, "pad": PAD},
        {"rows": [[START, END]], "length": 3, "pad": PAD},
        {"rows": [[START, a, b, END]], "length": 3, "pad": PAD},
        {"rows": [[START, PAD, a, END]], "length": 5, "pad": PAD},
        {"rows": [[a, b, c, d, e]], "length": 4, "pad": PAD},
        {"rows": [[START, a, END], [START, END]], "length": 5, "pad": other},
        {
            "rows": [[START, END], [START, a, b, c, d, e, END], [START, d, c, b, END], [START, e, c, END]],
            "length": 4,
            "pad": PAD,
        },
    ]


def _cut(row: Sequence[int], length: int) -> list[int]:
    return [*row[: length - 1], row[-1]] if len(row) > length else list(row)


def _masks(rows: Rows, length: int) -> Tensor:
    return torch.tensor([[at < len(row) for at in range(length)] for row in rows])


def inverts_the_mask(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """The mask is True where a token is real, and False where it is filling."""
    tokens, mask = writes_into_full_rows(rows, length, pad)
    return tokens, ~mask


def fills_on_the_left(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A row starts with its own ids; filling comes after them, on the right."""
    kept = [_cut(row, length) for row in rows]
    tokens = torch.tensor([[pad] * (length - len(row)) + row for row in kept])
    return tokens, _masks(rows, length).flip(1)


def cuts_the_end_token_off(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """The last id, `</s>`, says where the caption ends, and a row that is cut keeps it: cut before it."""
    kept = [list(row[:length]) for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in kept]), _masks(rows, length)


def cuts_the_start_of_the_row(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A long row keeps its first ids and its last one. Yours keeps the end of the caption and loses `<s>`."""
    kept = [list(row[-length:]) for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in kept]), _masks(rows, length)


def cuts_the_ids_after_the_first(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A long row keeps its first length − 1 ids and its last one: take away the ids before `</s>`."""
    kept = [[row[0], *row[len(row) - length + 1 :]] if len(row) > length else list(row) for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in kept]), _masks(rows, length)


def fills_with_zeros(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """0 is `<s>`, a real token: fill with the id `pad`."""
    return writes_into_full_rows(rows, length, 0)


def takes_the_mask_from_the_ids(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A row may hold the id `pad` itself, and there it is real. How long the row is says what is filling."""
    tokens, _ = writes_into_full_rows(rows, length, pad)
    return tokens, tokens != pad


def leaves_the_end_token_out_of_the_mask(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """`</s>` is a real token: the mask is True there too."""
    tokens, mask = writes_into_full_rows(rows, length, pad)
    for number, row in enumerate(rows):
        mask[number, min(len(row), length) - 1] = False
    return tokens, mask


def ends_a_cut_row_with_2(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A row that is cut keeps its own last id, whatever its number is."""
    kept = [[*row[: length - 1], 2] if len(row) > length else list(row) for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in kept]), _masks(rows, length)


def writes_the_end_token_into_every_last_place(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Only a row that is cut has its last id in the last place. In a short row it stays where it is."""
    tokens, mask = writes_into_full_rows(rows, length, pad)
    tokens[:, -1] = torch.tensor([row[-1] for row in rows])
    return tokens, mask


def cuts_one_token_too_many(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A row that is cut has `length` ids after: its first length − 1, and the last one."""
    kept = [[*row[: length - 2], row[-1]] if len(row) > length else list(row) for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in kept]), _masks(kept, length)


def fills_only_to_the_longest_row(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Every row becomes `length` long, even if no row needs it: the model always reads T tokens."""
    longest = min(length, max(len(row) for row in rows))
    return writes_into_full_rows(rows, longest, pad)


def changes_the_rows_it_was_given(rows: list[list[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Make new lists: whoever called you may still need the rows as they were."""
    mask = _masks(rows, length)
    for row in rows:
        del row[length - 1 : -1]
        while len(row) < length:
            row.append(pad)
    return torch.tensor(rows), mask


def moves_the_end_token_to_the_last_column(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """A short row ends where it ends: its last id stays beside the others, and the filling comes after it."""
    tokens, mask = writes_into_full_rows([row[:-1] or row for row in rows], length, pad)
    mask[:, -1] = True
    tokens[:, -1] = torch.tensor([row[-1] for row in rows])
    return tokens, mask


def writes_the_last_id_twice(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Only a row that is too long has to get its last id back. A short one has it already."""
    return writes_into_full_rows([[*row[: length - 1], row[-1]] for row in rows], length, pad)


def fills_with_1(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """The filling is the argument `pad`, whatever its number is; 1 is only what it is in the example."""
    return writes_into_full_rows(rows, length, 1)


def makes_all_rows_one_list(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """`[[pad] * length] * n` is the same list n times, so a row that you write into is every row: make n lists."""
    tokens, mask = [[pad] * length] * len(rows), [[False] * length] * len(rows)
    for number, row in enumerate(rows):
        for at, id in enumerate(_cut(row, length)):
            tokens[number][at] = id
            mask[number][at] = True
    return torch.tensor(tokens), torch.tensor(mask)


def calls_the_end_of_a_cut_row_filling(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """The last id of a row that was cut is the row's own token: its mask is True like that of the others."""
    tokens, mask = writes_into_full_rows(rows, length, pad)
    for number, row in enumerate(rows):
        mask[number, -1] &= len(row) <= length
    return tokens, mask


def writes_into_full_rows(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Right: a tensor of filling, and the rows written over it one id at a time."""
    tokens = torch.full((len(rows), length), pad)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for number, row in enumerate(rows):
        for at in range(min(len(row), length)):
            tokens[number, at] = row[at]
            mask[number, at] = True
        if len(row) > length:
            tokens[number, -1] = row[-1]
    return tokens, mask


def makes_lists_first(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Right: Python lists until the end."""
    tokens, mask = [], []
    for row in rows:
        missing = max(length - len(row), 0)
        kept = [*row[:length], *[pad] * missing]
        kept[length - 1] = kept[length - 1] if missing else row[-1]
        tokens.append(kept)
        mask.append([True] * (length - missing) + [False] * missing)
    return torch.tensor(tokens), torch.tensor(mask)


def lets_torch_fill_the_rows(rows: Rows, length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Right: one more row, as long as wanted, makes PyTorch fill all others up to it; the mask compares lengths."""
    kept = [torch.tensor(_cut(row, length)) for row in rows]
    tokens = pad_sequence([*kept, torch.zeros(length, dtype=torch.long)], batch_first=True, padding_value=pad)[:-1]
    sizes = torch.tensor([len(row) for row in kept])
    return tokens, torch.arange(length) < sizes[:, None]


HINTS = (
    "Begin with a tensor full of filling and a mask that is False everywhere. Then write each row over its beginning.",
    "A row of n ids, n > T, becomes its first T − 1 ids and its last one. Row i has k = min(n, T) real tokens: "
    "`tokens[i, :k]` are they, and `mask[i, :k]` is True.",
    """\
def pad_batch(rows, length, pad):
    tokens = torch.full(..., pad, dtype=torch.long)
    mask = torch.zeros(..., dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = ... if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(...)
        mask[...] = True
    return tokens, mask
""",
)

EXERCISE = Exercise(
    id="tokenization.pad_batch",
    points=3,
    minutes=10,
    stars=2,
    reference=pad_batch,
    cases=cases,
    wrong=(
        inverts_the_mask,
        fills_on_the_left,
        cuts_the_end_token_off,
        cuts_the_start_of_the_row,
        cuts_the_ids_after_the_first,
        fills_with_zeros,
        takes_the_mask_from_the_ids,
        leaves_the_end_token_out_of_the_mask,
        ends_a_cut_row_with_2,
        writes_the_end_token_into_every_last_place,
        cuts_one_token_too_many,
        fills_only_to_the_longest_row,
        changes_the_rows_it_was_given,
        moves_the_end_token_to_the_last_column,
        writes_the_last_id_twice,
        fills_with_1,
        makes_all_rows_one_list,
        calls_the_end_of_a_cut_row_filling,
    ),
    also_right=(writes_into_full_rows, makes_lists_first, lets_torch_fill_the_rows),
    hints=HINTS,
    reaches="Tokenizer.encode_batch",
    forbid=("tokenizers", "transformers", "Tokenizer"),
    probe=probe_pad_batch,
)
