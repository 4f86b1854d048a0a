"""An emoji's name taken apart: who or what it shows (role), of which gender, in which skin tone."""

import re
from typing import NamedTuple

_TONE = re.compile(r"\b(light|medium-light|medium|medium-dark|dark) skin tone\b")

_ADULTS = frozenset({"man", "woman", "person", "adult", "men", "women", "people"})
_CHILDREN = frozenset({"boy", "girl", "child"})

# One role under several names: name → role and gender.
_IRREGULAR = {
    "prince": ("with crown", "man"),
    "princess": ("with crown", "woman"),
    "merman": ("merperson", "man"),
    "mermaid": ("merperson", "woman"),
    "merperson": ("merperson", "person"),
    "older person": ("old", "person"),
    "Santa Claus": ("Claus", "man"),
    "Mrs. Claus": ("Claus", "woman"),
    "Mx Claus": ("Claus", "person"),
}


class Name(NamedTuple):
    """The three parts of a name; gender and tone are empty where the name does not say."""

    role: str
    gender: str
    tone: str


def parse_name(name: str) -> Name:
    """Split a name into role, gender and skin tone; the role is what is left of it without the other two.

    >>> parse_name("woman dark skin tone red hair")
    Name(role='red hair', gender='woman', tone='dark')
    >>> parse_name("people holding hands dark skin tone light skin tone")
    Name(role='holding hands', gender='people', tone='dark + light')
    >>> parse_name("Isle of Man")  # names are case-sensitive, and a possessive is part of the thing it owns
    Name(role='Isle of Man', gender='', tone='')

    Args:
        name: a name without its style, such as `woman dark skin tone red hair`.

    Returns:
        The parts. Where a gender changes the word, the role stays: `prince` and `person with crown` are both
        `with crown`. A name that is nothing but a gender has the role `person` or `child`, and a swatch of
        color (`light skin tone`) the role `skin tone`.
    """
    tone = " + ".join(_TONE.findall(name))
    words = _TONE.sub(" ", name).split()
    plain = " ".join(words)
    if plain in _IRREGULAR:
        return Name(*_IRREGULAR[plain], tone)
    gendered = [_is_gender(words, i) for i in range(len(words))]
    gender = " ".join(word for word, is_gender in zip(words, gendered, strict=True) if is_gender)
    role = " ".join(word for word, is_gender in zip(words, gendered, strict=True) if not is_gender)
    return Name(role or _bare_role(gender), gender, tone)


def _is_gender(words: list[str], i: int) -> bool:
    """Whether word `i` says a gender; the `and` of `woman and man` belongs to them."""
    people = _ADULTS | _CHILDREN
    if words[i] == "and" and 0 < i < len(words) - 1:
        return words[i - 1] in people and words[i + 1] in people
    return words[i] in people


def _bare_role(gender: str) -> str:
    if not gender:
        return "skin tone"
    return "child" if gender in _CHILDREN else "person"
