"""The tokenizer as other rooms use it: lossless, no special tokens by accident, even rows, clear errors."""

import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from unicode_texts import MANY, texts

from minidalle.errors import InvalidValue
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.tokenization.config import END, PAD, START

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


@MANY
@given(text=texts())
@example(text="<s></s><pad><unk><mask>")
@example(text="\x00\ud7ff\ue000\U0010ffff")
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert (ids[0], ids[-1]) == (START, END)
    assert not {tokenizer.vocab[token] for token in SPECIALS} & set(ids[1:-1])


def test_special_ids_are_barts(tokenizer: Tokenizer) -> None:
    assert [tokenizer.vocab[token] for token in SPECIALS] == [0, 1, 2, 3, tokenizer.vocab_size - 1]
    assert tokenizer.mask_id == tokenizer.vocab_size - 1 == 1023
    assert sorted(tokenizer.vocab.values()) == list(range(1024))


def test_the_null_caption_is_start_and_end(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == [0, 2]
    assert tokenizer.decode([0, 2]) == tokenizer.decode([]) == ""


def test_training_on_special_tokens_makes_none() -> None:
    tokenizer = Tokenizer.train(["<s> </s> <mask>"] * 50, TokenizerConfig(vocab_size=300))
    assert tokenizer.decode(tokenizer.encode("<mask><s>")) == "<mask><s>"
    assert len(set(tokenizer.vocab)) == len(set(tokenizer.vocab.values()))


def test_training_is_deterministic_and_blind_to_order(captions: list[str], tokenizer: Tokenizer) -> None:
    again = Tokenizer.train(reversed(captions), tokenizer.config)
    assert (again.vocab, again.merges) == (tokenizer.vocab, tokenizer.merges)


def test_training_counts_a_caption_as_often_as_it_comes() -> None:
    assert Tokenizer.train(["ab", "cd"], TokenizerConfig(vocab_size=262)).merges == [("a", "b")]
    assert Tokenizer.train(["ab", "cd", "cd"], TokenizerConfig(vocab_size=262)).merges == [("c", "d")]


def test_few_captions_make_few_entries() -> None:
    tokenizer = Tokenizer.train(["aa", ""], TokenizerConfig(vocab_size=1000))
    assert tokenizer.vocab_size == 5 + 256 + 1
    assert Tokenizer.train([], TokenizerConfig(vocab_size=261)).vocab_size == 261


def test_a_batch_is_the_single_captions(tokenizer: Tokenizer, captions: list[str]) -> None:
    chosen = [*captions[::97], "", "🦄 " * 20]
    tokens, mask = tokenizer.encode_batch(chosen)
    assert tokens.shape == mask.shape == (len(chosen), 16)
    for caption, row, real in zip(chosen, tokens, mask, strict=True):
        ids = tokenizer.encode(caption)
        expected = ids if len(ids) <= 16 else [*ids[:15], END]
        assert row[real].tolist() == expected
        assert row[~real].tolist() == [PAD] * (16 - len(expected))
        assert real.tolist() == sorted(real.tolist(), reverse=True)


def test_fast_enough(captions: list[str]) -> None:
    start = time.process_time()
    tokenizer = Tokenizer.train(captions, TokenizerConfig(vocab_size=4096))
    trained = time.process_time()
    tokenizer.encode_batch(captions)
    assert trained - start < 15
    assert time.process_time() - trained < 2


@pytest.mark.parametrize("text", ["\ud800", "red \udc4d apple", "\udc4d\ud83d"])
def test_lone_surrogates_are_refused(tokenizer: Tokenizer, text: str) -> None:
    for use in (tokenizer.encode, lambda text: tokenizer.encode_batch([text])):
        with pytest.raises(InvalidValue, match="without lone surrogates"):
            use(text)
    with pytest.raises(InvalidValue, match="without lone surrogates"):
        Tokenizer.train([text], tokenizer.config)


@pytest.mark.parametrize("caption", [None, b"red", 3])
def test_what_is_no_text_is_refused(tokenizer: Tokenizer, caption: object) -> None:
    with pytest.raises(InvalidValue, match=r"caption=.*expected text"):
        tokenizer.encode(caption)  # type: ignore[arg-type]


def test_a_bare_string_is_no_list_of_captions(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidValue, match=r"captions='red apple': expected a list of captions: \[caption\]"):
        tokenizer.encode_batch("red apple")


@pytest.mark.parametrize("id", [-1, 1024])
def test_unknown_ids_are_refused(tokenizer: Tokenizer, id: int) -> None:
    with pytest.raises(InvalidValue, match=f"id={id}.*below 1024"):
        tokenizer.decode([0, id, 2])


def test_the_published_normalizer_is_used_everywhere(tokenizer: Tokenizer) -> None:
    cleaning = Tokenizer(tokenizer.vocab, tokenizer.merges, replace(tokenizer.config, normalizer="published"))
    assert cleaning.encode("Red APPLE!") == tokenizer.encode(" red apple")
    assert cleaning.encode_batch(["Red APPLE!"])[0].equal(tokenizer.encode_batch([" red apple"])[0])
    trained = Tokenizer.train(["RED"] * 9, TokenizerConfig(vocab_size=300, normalizer="published"))
    assert trained.vocab.keys() >= {"Ġred"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 260),
        ("vocab_size", 1024.0),
        ("vocab_size", True),
        ("text_length", 1),
        ("text_length", "8"),
        ("normalizer", "lower"),
        ("normalizer", None),
    ],
)
def test_bad_options_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidValue, match=f"{field}={value!r}: expected"):
        TokenizerConfig(**{field: value})  # type: ignore[arg-type]
