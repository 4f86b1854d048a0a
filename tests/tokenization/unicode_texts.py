"""Texts that break tokenizers, for the property tests of this room."""

from hypothesis import settings
from hypothesis import strategies as st

AWKWARD = (
    "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "#️⃣", "\U0001f9d1‍",  # joined, toned, halves of joined emoji
    "é", "ạ̈", "̈", "ﬁ", "ǆ", "İ", "ß",  # combining marks, ligatures, letters that change length by case
    "שלום", "مرحبا", "‮abc‬", "नमस्ते", "ไทย", "한글", "한", "北京",  # right to left, syllables, Han
    "\x00", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\xad", "​", "\u2028", "　", "﻿", "�",
    " ", "  ", "   ", "\t", "\n", "\r\n", " \n ",
    "'s", "'ll", "'S", "’s", "don't", "''", "x'd",
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<person>", "&lt;", "Ġ", "Ċ", "##", "#",
    "123", "１２", "Ⅷ", "½", "1,234", "red", " apple", "noto style",
)  # fmt: skip

FEW = settings(max_examples=150, deadline=None, derandomize=True, database=None)
MANY = settings(FEW, max_examples=600)


def texts(*excluded: str) -> st.SearchStrategy[str]:
    """Any Unicode text, often of awkward pieces; without lone surrogates and the `excluded` categories."""
    characters = st.characters(exclude_categories=("Cs", *excluded))
    return st.lists(st.sampled_from(AWKWARD) | st.text(characters, max_size=6), max_size=8).map("".join)
