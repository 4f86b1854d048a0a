"""Equal to Hugging Face's `tokenizers` and `transformers`: training, ids, decoding, files both ways."""

import unicodedata
from pathlib import Path

import pytest
import tokenizers
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from unicode_texts import FEW, MANY, texts

from minidalle.tokenization import Tokenizer, TokenizerConfig, bpe

FIRST = ["<s>", "<pad>", "</s>", "<unk>"]


def peer_of(tokenizer: Tokenizer, folder: Path) -> tokenizers.Tokenizer:
    tokenizer.save(folder)
    peer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    peer.encode_special_tokens = True  # take "<s>" in a text for text, as we do
    return peer


def trained_by_peer(captions: list[str], size: int) -> tokenizers.Tokenizer:
    """What a user of `tokenizers` would do to train BART's kind of tokenizer on captions."""
    peer = tokenizers.Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1, special_tokens=FIRST, initial_alphabet=alphabet, show_progress=False
    )
    peer.train_from_iterator(captions, trainer)
    peer.add_special_tokens(["<mask>"])
    peer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    peer.encode_special_tokens = True
    return peer


@pytest.fixture(scope="module")
def peer(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> tokenizers.Tokenizer:
    return peer_of(tokenizer, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(captions: list[str]) -> tokenizers.Tokenizer:
    return trained_by_peer(captions, 1024)


def test_every_caption(tokenizer: Tokenizer, peer: tokenizers.Tokenizer, captions: list[str]) -> None:
    distinct = sorted(set(captions))
    ours, theirs = [tokenizer.encode(caption) for caption in distinct], peer.encode_batch(distinct)
    assert ours == [encoding.ids for encoding in theirs]
    assert [tokenizer.decode(ids) for ids in ours] == peer.decode_batch(ours) == distinct
    assert sum(map(len, ours)) / len(ours) < 12


@MANY
@given(text=texts("Cn"))  # which unassigned characters are letters depends on the version of Unicode
def test_any_text(tokenizer: Tokenizer, peer: tokenizers.Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids == peer.encode(text).ids
    assert tokenizer.decode(ids) == peer.decode(ids) == text


@FEW
@given(ids=st.lists(st.integers(0, 1023), max_size=12))
def test_decoding_any_ids(tokenizer: Tokenizer, peer: tokenizers.Tokenizer, ids: list[int]) -> None:
    assert tokenizer.decode(ids) == peer.decode(ids)


def test_characters_of_every_kind_make_the_same_words() -> None:
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    numbers = [*range(0xD800), *range(0xE000, 0x20000, 3), *range(0x20000, 0x110000, 97)]
    for character in (chr(number) for number in numbers if unicodedata.category(chr(number)) != "Cn"):
        text = f"a{character}1{character}!{character}  {character} a"
        ours = ["".join(bpe.word_symbols(word)) for word in bpe.split_words(text)]
        assert ours == [word for word, _ in split(text)], f"U+{ord(character):04X}"


@pytest.mark.parametrize("size", [300, 4096])
def test_training_on_the_captions(captions: list[str], size: int) -> None:
    ours, theirs = Tokenizer.train(captions, TokenizerConfig(size)), trained_by_peer(captions, size)
    assert ours.vocab == theirs.get_vocab(with_added_tokens=True)


@FEW
@given(captions=st.lists(st.text("ab é'1", max_size=12), max_size=8), size=st.integers(261, 285))
def test_training_on_anything(captions: list[str], size: int) -> None:
    ours, theirs = Tokenizer.train(captions, TokenizerConfig(size)), trained_by_peer(captions, size)
    assert ours.vocab == theirs.get_vocab(with_added_tokens=True)
    assert all(ours.encode(caption) == theirs.encode(caption).ids for caption in captions)


def test_reading_what_tokenizers_wrote(
    foreign: tokenizers.Tokenizer, captions: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    foreign.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.load(tmp_path, tokenizer.config)
    assert ours.vocab == foreign.get_vocab(with_added_tokens=True)
    assert all(ours.encode(caption) == foreign.encode(caption).ids for caption in captions[::7])


def test_reading_the_pair_that_tokenizers_wrote(
    foreign: tokenizers.Tokenizer, captions: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    peer = tokenizers.ByteLevelBPETokenizer()
    peer.train_from_iterator(captions, 600, 2, show_progress=False, special_tokens=[*FIRST, "<mask>"])
    peer.save_model(str(tmp_path))
    ours = Tokenizer.load(tmp_path, tokenizer.config)
    assert ours.mask_id == 4  # as the published DALL·E mini's may be: only the first four ids are fixed
    assert all(ours.encode(caption)[1:-1] == peer.encode(caption).ids for caption in captions[::7])


def test_transformers_reads_our_pair_and_we_what_it_writes(
    tokenizer: Tokenizer, captions: list[str], tmp_path: Path
) -> None:
    tokenizer.save_vocabulary(tmp_path)
    bart = transformers.BartTokenizer.from_pretrained(tmp_path)
    assert [bart(caption).input_ids for caption in captions[::7]] == [*map(tokenizer.encode, captions[::7])]
    assert (bart.bos_token_id, bart.pad_token_id, bart.eos_token_id, bart.unk_token_id) == (0, 1, 2, 3)
    assert bart.mask_token_id == tokenizer.mask_id
    bart.save_pretrained(tmp_path / "theirs")
    again = Tokenizer.load(tmp_path / "theirs", tokenizer.config)
    assert (again.vocab, again.merges) == (tokenizer.vocab, tokenizer.merges)


def test_padding_and_truncation_as_in_transformers(tokenizer: Tokenizer, captions: list[str], tmp_path: Path) -> None:
    tokenizer.save_vocabulary(tmp_path)
    bart = transformers.BartTokenizer.from_pretrained(tmp_path)
    chosen = ["", "🦄 " * 20, *captions[::50]]
    theirs = bart(chosen, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    tokens, mask = tokenizer.encode_batch(chosen)
    assert tokens.equal(theirs.input_ids)
    assert mask.equal(theirs.attention_mask.bool())


def test_the_comparison_can_fail(tokenizer: Tokenizer, captions: list[str], tmp_path: Path) -> None:
    backwards = Tokenizer(tokenizer.vocab, tokenizer.merges[::-1], tokenizer.config)
    peer = peer_of(backwards, tmp_path)
    assert any(tokenizer.encode(caption) != peer.encode(caption).ids for caption in captions[:50])
