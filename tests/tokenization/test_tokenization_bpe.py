"""The pure functions: by hand, and against a second, naive way to say the same."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from unicode_texts import FEW, MANY, texts

from minidalle.tokenization import bpe


def test_bytes_of_a_text() -> None:
    assert bpe.text_to_bytes("") == []
    assert bpe.text_to_bytes("é") == [195, 169]
    assert bpe.text_to_bytes("a🍎") == [97, 240, 159, 141, 142]


def test_symbols_are_256_distinct_visible_characters() -> None:
    assert len(set(bpe.SYMBOLS)) == 256
    assert all(symbol.isprintable() and not symbol.isspace() for symbol in bpe.SYMBOLS)
    assert [bpe.SYMBOLS[byte] for byte in b" \n!a"] == ["Ġ", "Ċ", "!", "a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("red apple", ["red", " apple"]),
        ("a  b", ["a", " ", " b"]),
        ("it's 2nd!", ["it", "'s", " 2", "nd", "!"]),
        (" \n", [" \n"]),
        ("I'm he'd it's don't", ["I", "'m", " he", "'d", " it", "'s", " don", "'t"]),
        ("we'll you're I've 'Ts", ["we", "'ll", " you", "'re", " I", "'ve", " '", "Ts"]),
        ("<s>", ["<", "s", ">"]),
    ],
)
def test_words_by_hand(text: str, words: list[str]) -> None:
    assert bpe.split_words(text) == words


@MANY
@given(texts())
def test_words_lose_nothing_and_split_no_further(text: str) -> None:
    words = bpe.split_words(text)
    assert "".join(words) == text
    assert all(bpe.split_words(word) == [word] for word in words)  # encode_batch encodes word by word


def test_pairs_are_counted_as_often_as_their_words() -> None:
    words = [["a", "b", "a", "b"], ["b", "a"], ["c"]]
    assert bpe.count_pairs(words, [2, 5, 9]) == {("a", "b"): 4, ("b", "a"): 7}
    assert bpe.count_pairs([["a", "a", "a"]], [1]) == {("a", "a"): 2}
    assert bpe.count_pairs([], []) == {}


@pytest.mark.parametrize(
    ("word", "pair", "merged"),
    [
        ("aaa", "aa", ["aa", "a"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("abcab", "ab", ["ab", "c", "ab"]),
        ("abc", "ac", ["a", "b", "c"]),
        ("", "ab", []),
    ],
)
def test_merge_goes_from_left_to_right(word: str, pair: str, merged: list[str]) -> None:
    symbols = list(word)
    assert bpe.merge_pair(symbols, (pair[0], pair[1])) == merged
    assert symbols == list(word)


def naive_training(word_counts: dict[str, int], size: int) -> list[bpe.Pair]:
    """The algorithm as the paper has it: count everything anew for every merge."""
    words = [([bpe.SYMBOLS[byte] for byte in word.encode()], count) for word, count in word_counts.items()]
    order = sorted(bpe.SYMBOLS)
    merges: list[bpe.Pair] = []
    while len(order) < size:
        pairs = Counter(pair for word, count in words for pair in pairwise(word) for _ in range(count))
        if not pairs:
            break
        left, right = max(pairs, key=lambda pair: (pairs[pair], -order.index(pair[0]), -order.index(pair[1])))
        merges.append((left, right))
        order += [left + right] if left + right not in order else []
        words = [(" ".join(["", *word, ""]).replace(" ", "  "), count) for word, count in words]
        words = [(word.replace(f" {left}  {right} ", f" {left}{right} ").split(), count) for word, count in words]
    return merges


@FEW
@given(
    st.dictionaries(st.text("ab é", min_size=1, max_size=8), st.integers(1, 9), max_size=6),
    st.integers(256, 275),
)
def test_training_equals_the_naive_algorithm(word_counts: dict[str, int], size: int) -> None:
    assert bpe.train_bpe(word_counts, size) == naive_training(word_counts, size)


def test_ties_go_to_the_oldest_symbols() -> None:
    assert bpe.train_bpe({"dc": 1, "ab": 1}, 258) == [("a", "b"), ("d", "c")]
    assert bpe.train_bpe({"ac": 1, "ab": 1}, 257) == [("a", "b")]
    assert bpe.train_bpe({"ab c": 2, "abx": 1}, 259)[:3] == [("a", "b"), ("Ġ", "c"), ("ab", "Ġc")]


def test_training_stops_when_nothing_is_left_to_join() -> None:
    assert bpe.train_bpe({"aa": 3}, 300) == [("a", "a")]
    assert bpe.train_bpe({}, 300) == []
    assert bpe.train_bpe({"aa": 3}, 256) == []


def test_encoding_joins_in_the_order_of_learning() -> None:
    vocab = {symbol: id for id, symbol in enumerate(["a", "b", "c", "ab", "bc"])}
    assert bpe.encode("abc", vocab, {("a", "b"): 0, ("b", "c"): 1}) == [3, 2]
    assert bpe.encode("abc", vocab, {("b", "c"): 0, ("a", "b"): 1}) == [0, 4]
    assert bpe.encode("", vocab, {}) == []


def test_decoding_marks_half_characters() -> None:
    symbols = dict(enumerate(bpe.SYMBOLS))
    assert bpe.decode([195, 169], symbols) == "é"
    assert bpe.decode([195], symbols) == "�"
    assert bpe.decode([240, 159, 97], symbols) == "�a"
    assert bpe.decode([], symbols) == ""


def test_rows_are_cut_and_filled() -> None:
    tokens, mask = bpe.pad_batch([[0, 7, 8, 9, 2], [0, 2], [0, 7, 8, 2]], 4, 1)
    assert tokens.tolist() == [[0, 7, 8, 2], [0, 2, 1, 1], [0, 7, 8, 2]]
    assert mask.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    assert (tokens.dtype, mask.dtype) == (torch.long, torch.bool)


def test_a_real_token_may_look_like_filling() -> None:
    _, mask = bpe.pad_batch([[1, 1]], 3, 1)
    assert mask.tolist() == [[True, True, False]]


def test_no_rows() -> None:
    tokens, mask = bpe.pad_batch([], 4, 1)
    assert tokens.shape == mask.shape == (0, 4)
