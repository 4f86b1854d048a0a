"""Exercise: ids back to text."""

import codecs
import string
from collections.abc import Iterable, Mapping, Sequence

from minidalle.exercises.exercise import Case, Exercise, Plain
from minidalle.exercises.probes.tokenization import probe_decode
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import BYTE_OF, SYMBOLS, decode

Symbols = Mapping[int, str]


def cases(seed: int) -> list[Case]:
    """From no ids to a caption; characters spread over ids, and characters that are cut."""
    random = numpy_generator(seed, "tokenization.decode")
    a, b, c = random.permutation(list(string.ascii_lowercase))[:3].tolist()
    accented, emoji = str(random.choice(list("éèñüößåç"))), str(random.choice(list("😀🍎🦄🚀🎈🐙🌵🍋")))
    color, thing = str(random.choice(["red", "green", "pink"])), str(random.choice(["apple", "rocket", "kite"]))
    drawn: list[int] = random.permutation(range(5, 300)).tolist()
    one, two = (bytes([byte]) for byte in accented.encode())
    start, end = emoji.encode()[:3], emoji.encode()[3:]
    red, apple, comma = color.encode(), f" {thing}".encode(), b","
    return [
        _case(drawn, []),
        _case(drawn, [a.encode()]),
        _case(drawn, [f" {a}".encode()]),
        _case(drawn, [one, two]),
        _case(drawn, [one]),
        _case(drawn, [(b + a).encode(), c.encode(), (b + a).encode(), b"\n"]),
        _case(drawn, [start, end, a.encode()]),
        _case(drawn, [start, b.encode(), two]),
        _case(drawn, [red, apple, comma, b" ", one, two, b"t", apple, b" ", start]),
    ]


def _case(drawn: Sequence[int], pieces: Sequence[bytes]) -> Case:
    """Pieces of a text under drawn ids, the same for the same piece; the table has one symbol besides."""
    id_of = dict(zip(sorted({*pieces, b"?"}), drawn, strict=False))
    symbols: Plain = [[id, "".join(SYMBOLS[byte] for byte in piece)] for piece, id in id_of.items()]
    return {"ids": [id_of[piece] for piece in pieces], "symbols": symbols}


def _bytes(ids: Iterable[int], symbols: Symbols) -> bytes:
    return bytes(BYTE_OF[character] for id in ids for character in symbols[id])


def decodes_each_id_alone(ids: Iterable[int], symbols: Symbols) -> str:
    """A character's bytes can lie in several ids: put all bytes in one row before you decode them."""
    return "".join(_bytes([id], symbols).decode("utf-8", errors="replace") for id in ids)


def puts_spaces_between_ids(ids: Iterable[int], symbols: Symbols) -> str:
    """Spaces are in the symbols already, as Ġ: put nothing between the ids, and decode all bytes in one go."""
    return " ".join(_bytes([id], symbols).decode("utf-8", errors="replace") for id in ids)


def stops_at_broken_characters(ids: Iterable[int], symbols: Symbols) -> str:
    """A model can cut a character in half, and the text must still come out: decode with errors="replace"."""
    return _bytes(ids, symbols).decode("utf-8")


def drops_broken_characters(ids: Iterable[int], symbols: Symbols) -> str:
    """Bytes that are no UTF-8 are to be seen, as �: errors="replace", not "ignore"."""
    return _bytes(ids, symbols).decode("utf-8", errors="ignore")


def writes_broken_bytes_as_escapes(ids: Iterable[int], symbols: Symbols) -> str:
    """Bytes that are no UTF-8 become �, not their numbers: errors="replace"."""
    return _bytes(ids, symbols).decode("utf-8", errors="backslashreplace")


def reads_latin_1(ids: Iterable[int], symbols: Symbols) -> str:
    """Latin-1 makes a character of every byte: é becomes Ã©. The bytes are UTF-8."""
    return _bytes(ids, symbols).decode("latin-1")


def gives_the_symbols(ids: Iterable[int], symbols: Symbols) -> str:
    """These are symbols, one for each byte. `BYTE_OF` has their bytes; decode those."""
    return "".join(symbols[id] for id in ids)


def knows_only_the_symbol_of_the_space(ids: Iterable[int], symbols: Symbols) -> str:
    """Ġ is not the only symbol that is no character of the text: turn every symbol into its byte with `BYTE_OF`."""
    return "".join(symbols[id] for id in ids).replace("Ġ", " ")


def strips_the_text(ids: Iterable[int], symbols: Symbols) -> str:
    """Spaces and line ends at the ends belong to the text: give it back as it was."""
    return _bytes(ids, symbols).decode("utf-8", errors="replace").strip()


def leaves_out_ids_that_come_again(ids: Iterable[int], symbols: Symbols) -> str:
    """An id may come as often as it likes: go through `ids`, not through a set or a mapping of them."""
    return _bytes(dict.fromkeys(ids), symbols).decode("utf-8", errors="replace")


def goes_through_the_table(ids: Iterable[int], symbols: Symbols) -> str:
    """The order of the text is the order of `ids`: go through them, and look each one up."""
    wanted = set(ids)
    return _bytes([id for id in symbols if id in wanted], symbols).decode("utf-8", errors="replace")


def joins_pieces_of_bytes(ids: Iterable[int], symbols: Symbols) -> str:
    """Right: bytes for each id, joined before they are decoded."""
    pieces = [bytes([BYTE_OF[character] for character in symbols[id]]) for id in ids]
    return str(b"".join(pieces), "utf-8", "replace")


def feeds_a_decoder(ids: Iterable[int], symbols: Symbols) -> str:
    """Right: this decoder keeps half a character until its other half comes."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = "".join(decoder.decode(bytes([BYTE_OF[character]])) for id in ids for character in symbols[id])
    return text + decoder.decode(b"", final=True)


def fills_a_bytearray(ids: Iterable[int], symbols: Symbols) -> str:
    """Right: byte by byte, with the number of a byte as its place among the symbols."""
    row = bytearray()
    for id in ids:
        for character in symbols[id]:
            row.append(SYMBOLS.index(character))
    return row.decode(errors="replace")


HINTS = (
    "Walk the way back: ids, symbols, bytes, text. One byte of é is not a character yet, so decode only when all bytes "
    "are there.",
    '`BYTE_OF[character]` is the byte of one character of a symbol, and `bytes([195, 169]).decode("utf-8")` is "é". '
    'With `errors="replace"`, what is no UTF-8 becomes �.',
    """\
def decode(ids, symbols):
    characters = "".join(...)  # the symbols of all ids in a row
    numbers = [...]  # the byte of each character
    return bytes(numbers).decode("utf-8", errors=...)
""",
)

EXERCISE = Exercise(
    id="tokenization.decode",
    points=2,
    minutes=5,
    stars=1,
    reference=decode,
    cases=cases,
    wrong=(
        decodes_each_id_alone,
        puts_spaces_between_ids,
        stops_at_broken_characters,
        drops_broken_characters,
        writes_broken_bytes_as_escapes,
        reads_latin_1,
        gives_the_symbols,
        knows_only_the_symbol_of_the_space,
        strips_the_text,
        leaves_out_ids_that_come_again,
        goes_through_the_table,
    ),
    also_right=(joins_pieces_of_bytes, feeds_a_decoder, fills_a_bytearray),
    hints=HINTS,
    reaches="Tokenizer.decode",
    forbid=("tokenizers", "transformers", "tiktoken", "sentencepiece", "Tokenizer"),
    probe=probe_decode,
)
