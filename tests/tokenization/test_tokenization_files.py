"""Files: written whole, read exactly; where they are damaged, an error names the file and the problem."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidalle.checkpoint import CheckpointError
from minidalle.tokenization import Tokenizer, TokenizerConfig


def test_saved_and_loaded_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "new" / "folder")
    again = Tokenizer.load(tmp_path / "new" / "folder")
    assert (again.config, again.vocab, again.merges) == (tokenizer.config, tokenizer.vocab, tokenizer.merges)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "tokenizer.json",
        "tokenizer_options.json",
    ]


def test_the_older_pair_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save_vocabulary(tmp_path)
    again = Tokenizer.load(tmp_path, tokenizer.config)
    assert (again.vocab, again.merges) == (tokenizer.vocab, tokenizer.merges)
    assert (tmp_path / "merges.txt").read_text(encoding="utf-8").startswith("#version: 0.2\nĠ s\n")


def test_merges_of_number_signs_are_no_header(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(["##", "##"], TokenizerConfig(262))
    assert tokenizer.merges == [("#", "#")]
    tokenizer.save_vocabulary(tmp_path)
    merges = tmp_path / "merges.txt"
    merges.write_bytes(merges.read_bytes().split(b"\n", 1)[1].replace(b"\n", b"\r\n"))
    assert Tokenizer.load(tmp_path, tokenizer.config).merges == [("#", "#")]


def test_the_older_way_to_write_merges_is_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    edit(tmp_path, lambda whole: whole["model"].update(merges=[" ".join(m) for m in whole["model"]["merges"]]))
    assert Tokenizer.load(tmp_path).merges == tokenizer.merges


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    change(whole)
    path.write_text(json.dumps(whole), encoding="utf-8")


DAMAGE = {
    "no model": (lambda whole: whole.pop("model"), "not a tokenizer.json, KeyError\\('model'\\)"),
    "no merges": (lambda whole: whole["model"].pop("merges"), "not a tokenizer.json, KeyError\\('merges'\\)"),
    "merges are numbers": (lambda whole: whole["model"].update(merges=[1]), "not a tokenizer.json"),
    "vocab is a list": (lambda whole: whole["model"].update(vocab=["a"]), "not a tokenizer.json"),
    "other model": (
        lambda whole: whole["model"].update(type="Unigram"),
        "model.type is 'Unigram', expected 'BPE'",
    ),
    "dropout": (lambda whole: whole["model"].update(dropout=0.1), "model.dropout is 0.1"),
    "word ends": (
        lambda whole: whole["model"].update(end_of_word_suffix="</w>"),
        "end_of_word_suffix is '</w>'",
    ),
    "normalizer": (lambda whole: whole.update(normalizer={"type": "NFC"}), "normalizer is {'type': 'NFC'}"),
    "no words": (lambda whole: whole.update(pre_tokenizer=None), "pre_tokenizer.type is None"),
    "prefix": (
        lambda whole: whole["pre_tokenizer"].update(add_prefix_space=True),
        "add_prefix_space is True",
    ),
    "added": (
        lambda whole: whole["added_tokens"].append({"id": 2000, "content": "noto"}),
        "'noto' is added, but no special token",
    ),
    "a byte is missing": (lambda whole: whole["model"]["vocab"].pop("Ā"), "'Ā' is not in the vocabulary"),
    "start moved": (
        lambda whole: whole["added_tokens"][0].update(id=3000),
        "<s> has the id 3000, expected 0",
    ),
    "same id": (lambda whole: whole["model"]["vocab"].update(Ġs=5), "two symbols have the same id"),
    "negative id": (
        lambda whole: whole["model"]["vocab"].update(Ġs=-1),
        "an id is not a whole number from 0",
    ),
    "id is text": (
        lambda whole: whole["model"]["vocab"].update(Ġs="7"),
        "an id is not a whole number from 0",
    ),
    "not bytes": (
        lambda whole: whole["model"]["vocab"].update({"苹果": 5000}),
        "'苹果' is not written in the alphabet",
    ),
    "unknown merge": (
        lambda whole: whole["model"]["merges"].append(["Ā", "Ā"]),
        r"\['Ā', 'Ā'\], does not make",
    ),
    "merge of three": (
        lambda whole: whole["model"]["merges"].append("Ġ s t"),
        "does not make a symbol of two",
    ),
    "merge twice": (lambda whole: whole["model"]["merges"].append(["Ġ", "s"]), r"\['Ġ', 's'\], came before"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_tokenizer_json(tokenizer: Tokenizer, tmp_path: Path, name: str) -> None:
    change, problem = DAMAGE[name]
    tokenizer.save(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(CheckpointError, match=f"tokenizer.json: .*{problem}"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": []}', b'{"model": {"vocab": 3}}']
)
def test_broken_tokenizer_json(tokenizer: Tokenizer, tmp_path: Path, content: bytes) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_options.json"])
def test_truncated_anywhere(tokenizer: Tokenizer, tmp_path: Path, name: str) -> None:
    tokenizer.save(tmp_path)
    tokenizer.save_vocabulary(tmp_path)
    if name in ("vocab.json", "merges.txt"):
        (tmp_path / "tokenizer.json").unlink()
    whole = (tmp_path / name).read_bytes()
    for part in (3, 2):
        cut = whole[: len(whole) // part]
        (tmp_path / name).write_bytes(cut[: cut.rindex(b" ") + 1] + "Ġ".encode()[:1])  # ends within a character
        with pytest.raises(CheckpointError, match=name):
            Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("merges.txt", "#version: 0.2\nĠ s\nĠ s\n", "merge 2, .* came before"),
        ("merges.txt", "Ġs\n", r"merge 1, \['Ġs'\], does not make a symbol of two"),
        ("merges.txt", "Ġ  s\n", "merge 1, .* does not make a symbol of two"),
        ("vocab.json", "[]", "expected a table of symbols and ids"),
        ("vocab.json", '{"<s>": 0, "a": 1}', "<pad> has the id None, expected 1"),
    ],
)
def test_a_pair_that_does_not_fit(tokenizer: Tokenizer, tmp_path: Path, name: str, content: str, problem: str) -> None:
    tokenizer.save_vocabulary(tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"{name}: {problem}"):
        Tokenizer.load(tmp_path, tokenizer.config)


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_half_of_a_pair(tokenizer: Tokenizer, tmp_path: Path, missing: str) -> None:
    tokenizer.save_vocabulary(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointError, match=missing):
        Tokenizer.load(tmp_path, tokenizer.config)


def test_nothing_there(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer in .*expected tokenizer.json, or vocab.json and merges"):
        Tokenizer.load(tmp_path / "absent")
    tokenizer.save_vocabulary(tmp_path)
    with pytest.raises(CheckpointError, match="load a tokenizer from elsewhere with a TokenizerConfig"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("options", ['{"size": 3}', "[]", '{"vocab_size": 3}', '{"normalizer": []}'])
def test_bad_options_name_their_file(tokenizer: Tokenizer, tmp_path: Path, options: str) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer_options.json").write_text(options, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer_options\.json"):
        Tokenizer.load(tmp_path)
