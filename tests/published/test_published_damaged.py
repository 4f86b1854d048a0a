"""Files that are whole for their format, and in which something is of another kind than anybody would write."""

import json
from collections.abc import Callable
from pathlib import Path

import published_trees as trees
import pytest
from published_refusal import refusal
from torch import Tensor

ODD_FIELDS = [
    ("flax", "encoder_attention_heads", "two"), ("flax", "decoder_start_token_id", [1]), ("flax", "scale_embedding", 3),
    ("flax", "normalize_text", "yes"), ("flax/vqgan", "resolution", "64"), ("flax/vqgan", "resolution", 10**30),
]  # fmt: skip


@pytest.mark.parametrize(("form", "name", "value"), ODD_FIELDS)
def test_a_field_of_another_kind_is_named(form: str, name: str, value: object, copy: Callable[[str], Path]) -> None:
    folder = copy("flax")
    path = folder.parent / form / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    assert f"config.json: {name} is {value!r}, expected" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
def test_json_without_end(name: str, copy: Callable[[str], Path]) -> None:
    folder = copy("flax")
    (folder / name).write_text("[" * 100_000)
    assert f"{name}: RecursionError" in refusal(folder)


@pytest.mark.parametrize("content", [b"\x80\x02e.", b"\x80\x02)q\x01s.", b"\x80\x02X\x01"])
def test_a_pickle_that_breaks_its_reader(content: bytes, copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    (folder / "encoder.pt").write_bytes(content)
    assert "encoder.pt: damaged, or no file of torch's" in refusal(folder)


def test_a_table_with_other_axes(copy: Callable[[str], Path], leaves: dict[str, Tensor]) -> None:
    folder = copy("flax")
    name = next(one for one in leaves if one.endswith("encoder/embed_tokens/embedding"))
    trees.write_flax(folder / "flax_model.msgpack", {**trees.stack_layers(leaves), name: leaves[name][None]})
    assert "expected 2 axes" in refusal(folder)


INDICES = [
    ({"weight_map": {"a": "x" * 5000}}, "missing: xxx"), ({"weight_map": {"a": "\0"}}, "missing: \0"),
    ({"weight_map": [1]}, "it names no parts"), ({"weight_map": 3}, "it names no parts"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "message"), INDICES)
def test_an_index_of_parts_that_cannot_be(table: object, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "classic"
    trees.write_vocabulary(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bart"}))
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    assert message in refusal(folder)
