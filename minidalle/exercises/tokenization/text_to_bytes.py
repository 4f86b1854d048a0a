"""Exercise: a text as UTF-8 bytes."""

import string

import numpy as np

from minidalle.exercises.exercise import Case, Exercise
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import text_to_bytes


def cases(seed: int) -> list[Case]:
    """Texts with characters of one to four bytes, from none to a caption."""
    random = numpy_generator(seed, "tokenization.text_to_bytes")
    one, two, three, four = (
        str(random.choice(list(characters)))
        for characters in (string.ascii_letters, "éèñüößåç", "→★€北東火山日ไह", "😀🍎🦄🚀🎈🐙🌵🍋")
    )
    color, thing = random.choice(["red", "green", "pink", "blue"]), random.choice(["apple", "fox", "kite", "moon"])
    texts = ["", one, two, three, four, f"{four}{one}{two}", f" {one} {two}\n", f"{three} {color} {thing} {four}, noto"]
    return [{"text": text} for text in texts]


def gives_code_points(text: str) -> list[int]:
    """`ord` is the number of the character, which goes far beyond 255. Encode the text as UTF-8 first."""
    return [ord(character) for character in text]


def cuts_code_points_to_a_byte(text: str) -> list[int]:
    """Cutting a character's number to 8 bits loses the rest of it. UTF-8 writes it with more bytes instead."""
    return [ord(character) % 256 for character in text]


def writes_latin_1(text: str) -> list[int]:
    """Latin-1 knows 256 characters only, and no emoji. UTF-8 knows all."""
    return list(text.encode("latin-1"))


def leaves_out_what_is_not_ascii(text: str) -> list[int]:
    """Nothing may be lost: é and emoji have bytes too. Encode as UTF-8, not as ASCII."""
    return list(text.encode("ascii", errors="ignore"))


def writes_question_marks(text: str) -> list[int]:
    """What ASCII cannot write became "?". UTF-8 can write every character."""
    return list(text.encode("ascii", errors="replace"))


def writes_utf_16(text: str) -> list[int]:
    """UTF-16 spends two bytes or four on each character, and two at the start. Encode as UTF-8."""
    return list(text.encode("utf-16"))


def writes_a_byte_order_mark(text: str) -> list[int]:
    """The first three bytes, 239 187 191, are a mark that says "UTF-8". Only the text's own bytes are wanted."""
    return list(text.encode("utf-8-sig"))


def leaves_out_white_space(text: str) -> list[int]:
    """Spaces and line ends are characters like any other: each has its byte."""
    return [byte for word in text.split() for byte in word.encode("utf-8")]


def goes_character_by_character(text: str) -> list[int]:
    """Right: the bytes of a text are the bytes of its characters in a row."""
    numbers: list[int] = []
    for character in text:
        numbers.extend(bytes(character, "utf-8"))
    return numbers


def takes_an_array(text: str) -> list[int]:
    """Right: NumPy reads the same bytes."""
    numbers: list[int] = np.frombuffer(text.encode(), dtype=np.uint8).tolist()
    return numbers


def shifts_the_bits_by_hand(text: str) -> list[int]:
    """Right: UTF-8 as its definition has it, six bits of the character's number in each byte after the first."""
    numbers = []
    for point in map(ord, text):
        tails = 0 if point < 0x80 else 1 if point < 0x800 else 2 if point < 0x10000 else 3
        marker = 0xFF00 >> (tails + 1) & 0xFF if tails else 0
        numbers.append(marker | point >> 6 * tails)
        numbers += [0x80 | point >> 6 * tail & 0x3F for tail in reversed(range(tails))]
    return numbers


HINTS = (
    "A character is not a byte. UTF-8 writes each character with one to four bytes, and every Python string "
    "can write itself in UTF-8.",
    '`"é".encode("utf-8")` is an object of type `bytes`. Its elements are numbers from 0 to 255; here 195 and 169.',
    """\
def text_to_bytes(text):
    encoded = ...  # the text in UTF-8, a bytes object
    return ...  # its numbers, as a list
""",
)

EXERCISE = Exercise(
    id="tokenization.text_to_bytes",
    points=1,
    minutes=5,
    stars=1,
    reference=text_to_bytes,
    cases=cases,
    wrong=(
        gives_code_points,
        cuts_code_points_to_a_byte,
        writes_latin_1,
        leaves_out_what_is_not_ascii,
        writes_question_marks,
        writes_utf_16,
        writes_a_byte_order_mark,
        leaves_out_white_space,
    ),
    also_right=(goes_character_by_character, takes_an_array, shifts_the_bits_by_hand),
    hints=HINTS,
    reaches="Tokenizer.encode_batch",
    forbid=("word_symbols",),
)
