"""Exercise: number the entries of the vocabulary."""

import string
from collections.abc import Iterable, Sequence
from itertools import count

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.tokenization import probe_build_vocab
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import SYMBOLS, Pair, build_vocab


def cases(seed: int) -> list[Case]:
    """Nothing but the mask; special tokens; merges in no order of the alphabet; a symbol that is made twice."""
    random = numpy_generator(seed, "tokenization.build_vocab")
    a, b, c, d = random.permutation(list(string.ascii_lowercase))[:4].tolist()
    names = random.permutation(["start", "end", "pad", "unknown", "blank", "left", "right"])[:4].tolist()
    first, second, third, last = (f"<{name}>" for name in names)
    low, high = sorted([c, d])
    return [
        {"special": [], "merges": [], "mask": last},
        {"special": [first], "merges": [], "mask": last},
        {"special": [third, first, second], "merges": [[a, b]], "mask": "<mask>"},
        {"special": [first, second], "merges": [[high, a], ["Ġ", high], [low, b], [low + b, high + a]], "mask": last},
        {"special": [second], "merges": [[a, b], [b, c], [a, b + c], [d, a], [a + b, c], [c, d]], "mask": last},
    ]


def _joined(merges: Iterable[Pair]) -> list[str]:
    return [left + right for left, right in merges]


def _number(entries: Iterable[str]) -> dict[str, int]:
    return {entry: id for id, entry in enumerate(dict.fromkeys(entries))}


def numbers_from_1(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """The first entry has the id 0: ids are places, and places are counted from 0."""
    return {entry: id + 1 for entry, id in _number([*special, *sorted(SYMBOLS), *_joined(merges), mask]).items()}


def puts_bytes_in_the_order_of_their_numbers(
    merges: Iterable[Pair], special: Sequence[str], mask: str
) -> dict[str, int]:
    """The order is that of the symbols: sort them. As they stand in SYMBOLS, "!" (byte 33) is not first."""
    return _number([*special, *SYMBOLS, *_joined(merges), mask])


def puts_the_mask_after_the_special_tokens(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """The mask has the last id of all, after the merges' symbols."""
    return _number([*special, mask, *sorted(SYMBOLS), *_joined(merges)])


def puts_the_special_tokens_after_the_bytes(
    merges: Iterable[Pair], special: Sequence[str], mask: str
) -> dict[str, int]:
    """Special tokens come first: each one's id is its place in `special`."""
    return _number([*sorted(SYMBOLS), *special, *_joined(merges), mask])


def puts_the_special_tokens_last(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Special tokens come first: each one's id is its place in `special`. Only the mask is last."""
    return _number([*sorted(SYMBOLS), *_joined(merges), *special, mask])


def forgets_the_mask(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """The mask is an entry too, the last one."""
    return _number([*special, *sorted(SYMBOLS), *_joined(merges)])


def sorts_the_merged_symbols(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Merges keep the order in which they were learned; only the bytes are sorted."""
    return _number([*special, *sorted(SYMBOLS), *sorted(_joined(merges)), mask])


def sorts_bytes_and_merged_symbols_together(
    merges: Iterable[Pair], special: Sequence[str], mask: str
) -> dict[str, int]:
    """All bytes come before the first merge, and merges keep the order in which they were learned."""
    return _number([*special, *sorted([*SYMBOLS, *_joined(merges)]), mask])


def leaves_a_gap_where_a_symbol_comes_twice(
    merges: Iterable[Pair], special: Sequence[str], mask: str
) -> dict[str, int]:
    """A symbol that is made twice keeps its first id, and the next symbol takes the next id: leave no number out."""
    return {entry: id for id, entry in enumerate([*special, *sorted(SYMBOLS), *_joined(merges), mask])}


def keeps_the_first_id_but_counts_on(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """A symbol that comes again uses up no id: count the entries there are, not the merges."""
    vocab: dict[str, int] = {}
    for id, entry in enumerate([*special, *sorted(SYMBOLS), *_joined(merges), mask]):
        vocab.setdefault(entry, id)
    return vocab


def gives_an_id_twice_where_a_symbol_comes_twice(
    merges: Iterable[Pair], special: Sequence[str], mask: str
) -> dict[str, int]:
    """A symbol that is made twice keeps its first id. You give it a new one, and then give that to the next symbol
    too: look first whether the symbol is there."""
    vocab: dict[str, int] = {}
    for entry in [*special, *sorted(SYMBOLS), *_joined(merges), mask]:
        vocab[entry] = len(vocab)
    return vocab


def maps_ids_to_symbols(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[int, str]:
    """The vocabulary goes from symbol to id, for encoding: the symbol is the key."""
    return dict(enumerate(dict.fromkeys([*special, *sorted(SYMBOLS), *_joined(merges), mask])))


def asks_whether_it_is_there(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Right: one entry after the other, each with the number of entries so far."""
    vocab = {token: id for id, token in enumerate(special)}
    for symbol in sorted(SYMBOLS):
        vocab[symbol] = len(vocab)
    for left, right in merges:
        if left + right not in vocab:
            vocab[left + right] = len(vocab)
    vocab[mask] = len(vocab)
    return vocab


def looks_places_up(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Right: the id is the place in the list of entries."""
    entries = [*special, *sorted(SYMBOLS)]
    entries += [symbol for symbol in dict.fromkeys("".join(pair) for pair in merges) if symbol not in entries]
    return dict(zip([*entries, mask], range(len(entries) + 1), strict=True))


def counts_with_an_iterator(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Right: take the next number only for what is new."""
    ids, vocab = count(), {}
    for entry in (*special, *sorted(SYMBOLS), *map("".join, merges), mask):
        if entry not in vocab:
            vocab[entry] = next(ids)
    return vocab


HINTS = (
    "Put all entries in one list, in the order of their ids. Then a symbol's id is its place in the list. Mind the "
    "symbol that comes twice.",
    "S special tokens have the ids 0 to S − 1; `sorted(SYMBOLS)` have S to S + 255; joined symbols go on from S + 256, "
    "each only once; the mask is last. `dict.fromkeys(entries)` drops what comes again and keeps the order.",
    """\
def build_vocab(merges, special, mask):
    entries = [*special, ...]  # in the order of their ids
    entries = ...  # each entry once
    return {symbol: id for id, symbol in ...}
""",
)

EXERCISE = Exercise(
    id="tokenization.build_vocab",
    points=2,
    minutes=5,
    stars=1,
    reference=build_vocab,
    cases=cases,
    wrong=(
        numbers_from_1,
        puts_bytes_in_the_order_of_their_numbers,
        puts_the_mask_after_the_special_tokens,
        puts_the_special_tokens_after_the_bytes,
        puts_the_special_tokens_last,
        forgets_the_mask,
        sorts_the_merged_symbols,
        sorts_bytes_and_merged_symbols_together,
        leaves_a_gap_where_a_symbol_comes_twice,
        keeps_the_first_id_but_counts_on,
        gives_an_id_twice_where_a_symbol_comes_twice,
        maps_ids_to_symbols,
    ),
    also_right=(asks_whether_it_is_there, looks_places_up, counts_with_an_iterator),
    hints=HINTS,
    reaches="Tokenizer.train",
    forbid=("tokenizers", "transformers", "Tokenizer"),
    probe=probe_build_vocab,
)
