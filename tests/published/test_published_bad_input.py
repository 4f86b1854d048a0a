"""Files that are broken, wrong, half there or hostile: each is told in its own words, and nothing of it is run."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import published_trees as trees
import pytest
import torch
from published_refusal import refusal
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.errors import InvalidValue
from minidalle.published import import_weights
from minidalle.published.torch_file import read_torch


@pytest.mark.parametrize("name", ["encoder.pt", "decoder.pt", "detoker.pt", "vocab.json", "merges.txt"])
def test_every_missing_file_of_torchs_form_is_named(name: str, copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    (folder / name).unlink()
    said = refusal(folder, InvalidValue)
    if name == "detoker.pt":
        assert "expected a VQGAN beside the BART: detoker.pt here" in said
    else:
        assert said.endswith(f"DALL·E mini for torch is not whole, missing: {name}")


def test_half_of_the_files(copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    for name in ("decoder.pt", "merges.txt", "vocab.json"):
        (folder / name).unlink()
    assert refusal(folder, InvalidValue).endswith("is not whole, missing: decoder.pt, vocab.json, merges.txt")
    folder = copy("flax")
    (folder / "config.json").unlink()
    assert refusal(folder, InvalidValue).endswith("missing: config.json")


def test_a_tokenizer_that_is_not_there(copy: Callable[[str], Path]) -> None:
    folder = copy("flax")
    (folder / "merges.txt").unlink()
    assert refusal(folder, InvalidValue).endswith("the tokenizer is not whole, missing: merges.txt")


def test_a_vqgan_that_is_nowhere(copy: Callable[[str], Path]) -> None:
    folder = copy("flax")
    shutil.rmtree(folder / "vqgan")
    said = refusal(folder, InvalidValue)
    assert "--vqgan with a folder or a Hub id such as dalle-mini/vqgan_imagenet_f16_16384" in said


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = refusal(tmp_path / "empty", InvalidValue)
    assert "encoder.pt, decoder.pt, vocab.json, merges.txt" in said
    assert "flax_model.msgpack, config.json" in said
    assert "*.ckpt" in said


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("flax", "flax_model.msgpack"), ("flax", "vqgan/flax_model.msgpack"), ("torch", "encoder.pt"),
        ("torch", "detoker.pt"), ("flax", "config.json"), ("torch", "vocab.json"),
    ],
)  # fmt: skip
def test_a_file_that_is_cut_off_is_named(form: str, name: str, copy: Callable[[str], Path]) -> None:
    path = copy(form) / name
    os.truncate(path, path.stat().st_size * 2 // 3)
    said = refusal(path.parent if "vqgan" not in name else path.parent.parent)
    assert path.name in said


def test_a_cut_flax_file_says_what_is_missing(copy: Callable[[str], Path]) -> None:
    path = copy("flax") / "flax_model.msgpack"
    os.truncate(path, path.stat().st_size - 10)
    assert "the file ends too early" in refusal(path.parent)


def test_a_cut_safetensors_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "classic"
    trees.write_vocabulary(folder)
    save_file({"shared.weight": torch.ones(300, 8)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bart", "vocab_size": 300}))
    os.truncate(folder / "model.safetensors", 900)
    assert "model.safetensors" in refusal(folder)


def change(path: Path, edit: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = torch.load(path, weights_only=True)
    edit(tensors)
    torch.save(tensors, path)


def test_a_wrong_shape_a_missing_and_an_unexpected_key(copy: Callable[[str], Path]) -> None:
    folder = copy("torch")

    def edit(tensors: dict[str, Tensor]) -> None:
        tensors["layers.1.glu.fc1.weight"] = torch.zeros(80, 127)
        tensors["more.weight"] = tensors.pop("layers.0.self_attn.q_proj.weight")

    change(folder / "encoder.pt", edit)
    said = refusal(folder)
    assert "missing: encoder.layers.0.self_attn.q_proj.weight; unexpected: encoder.more.weight" in said
    assert "encoder.layers.1.glu.fc1.weight has the shape [80, 127]: expected [80, 128]" in said
    assert str(folder) in said


def test_a_tokenizer_with_more_tokens_than_rows(copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    vocab = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**vocab, "zzzz": 300}))
    assert "vocab.json tokens=301: expected at most 300 (BART's)" in refusal(folder, InvalidValue)


def test_a_vqgan_of_another_grid(copy: Callable[[str], Path], painter: dict[str, Tensor]) -> None:
    folder = copy("flax")
    (folder / "vqgan" / "config.json").write_text(json.dumps({"resolution": 32}))
    assert "bart codes, tokens=(96, 256): expected the VQGAN's 96 codes and 64 tokens" in refusal(folder, InvalidValue)


def test_another_model_in_the_place_of_the_vqgan(copy: Callable[[str], Path], leaves: dict[str, Tensor]) -> None:
    folder = copy("flax")
    trees.write_flax(folder / "vqgan" / "flax_model.msgpack", leaves)
    assert "missing: quantize/embedding/embedding" in refusal(folder)


def test_a_pytorch_checkpoint_of_something_else(copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    torch.save([1, 2], folder / "encoder.pt")
    assert "expected tensors by name, found list" in refusal(folder)
    torch.save({"a": 3}, folder / "encoder.pt")
    assert "no tensors: a (int)" in refusal(folder)


class Hostile:
    """Unpickled, it would touch a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.target}",)


FORMS = {
    "new": lambda value, path: torch.save(value, path),
    "old": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "plain pickle": lambda value, path: path.write_bytes(pickle.dumps(value)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hidden", [False, True], ids=["in front", "in the state dict"])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(form: str, hidden: bool, copy: Callable[[str], Path]) -> None:
    folder = copy("torch")
    target = folder / "touched"
    value = {"state_dict": {"a": Hostile(target)}} if hidden else {"a": torch.ones(2), "b": Hostile(target)}
    FORMS[form](value, folder / "encoder.pt")
    said = refusal(folder)
    assert "a file can run any code that way. Nothing of it was run" in said
    assert form == "plain pickle" or f"asks for {os.name}.system" in said
    assert not target.exists()
    torch.load(folder / "encoder.pt", weights_only=False) if form != "plain pickle" else pickle.loads(
        (folder / "encoder.pt").read_bytes()
    )
    assert target.exists()  # the test can fail


def test_objects_of_a_training_program_are_left_alone(painter: dict[str, Tensor], tmp_path: Path) -> None:
    """taming's checkpoints hold Lightning's callbacks: no such package is needed, and nothing of them is imported."""
    program = (
        "import sys, types, torch\n"
        "parts = 'pytorch_lightning.callbacks.model_checkpoint'.split('.')\n"
        "for name in ('.'.join(parts[:n]) for n in (1, 2, 3)):\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "class ModelCheckpoint:\n"
        "    def __init__(self): self.best = 0.3\n"
        "ModelCheckpoint.__module__ = module.__name__\n"
        "module.ModelCheckpoint = ModelCheckpoint\n"
        "whole = {'epoch': 1, 'callbacks': {ModelCheckpoint: {'best': torch.ones(1)}}, 'callback': ModelCheckpoint(),\n"
        "         'optimizer_states': [{'state': {0: {'step': 3}}}], 'state_dict': {'a.weight': torch.ones(3)}}\n"
        "torch.save(whole, sys.argv[1])\n"
        "torch.save(whole, sys.argv[2], _use_new_zipfile_serialization=False)\n"
    )
    files = [tmp_path / "new.ckpt", tmp_path / "old.ckpt"]
    subprocess.run([sys.executable, "-c", program, *map(str, files)], check=True)
    before = set(sys.modules)
    assert torch.equal(read_torch(files[0])["a.weight"].read(None), torch.ones(3))
    assert not [name for name in set(sys.modules) - before if "lightning" in name]
    with pytest.raises(CheckpointError, match=r"pytorch_lightning\.callbacks\.model_checkpoint\.ModelCheckpoint"):
        read_torch(files[1])  # the oldest form cannot be looked through before it is read


def test_several_checkpoints_or_resolutions_are_not_guessed_at(painter: dict[str, Tensor], tmp_path: Path) -> None:
    for name in ("a.ckpt", "b.ckpt"):
        torch.save({"state_dict": painter}, tmp_path / name)
    assert "expected one file *.ckpt, found" in refusal_at(tmp_path)
    (tmp_path / "b.ckpt").rename(tmp_path / "last.ckpt")
    (tmp_path / "one.yaml").write_text("resolution: 64\n")
    (tmp_path / "two.yaml").write_text("resolution: 32\n")
    assert "several resolutions, [32, 64]: expected one" in refusal_at(tmp_path)


def test_a_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"")
    with pytest.raises(InvalidValue, match="expected the folder that this file is in"):
        import_weights(str(tmp_path / "a.ckpt"), tmp_path / "out")


def refusal_at(folder: Path) -> str:
    with pytest.raises(InvalidValue) as said:
        import_weights(str(folder), folder / "out")
    return str(said.value)


def test_a_folder_with_something_in_it_is_not_written_to(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder, out = copy("flax"), tmp_path / "taken"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InvalidValue, match=r"--out=.*expected a new or empty folder"):
        import_weights(str(folder), out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    (out / "notes.txt").rename(out / "bart.safetensors")  # as `TextToImage.save` leaves it
    with pytest.raises(InvalidValue, match="expected a new or empty folder"):
        import_weights(str(folder), out)
    assert (out / "bart.safetensors").read_text() == "mine"
    with pytest.raises(InvalidValue, match="expected a new or empty folder"):
        import_weights(str(folder), out / "bart.safetensors")


def test_an_import_that_was_broken_off_begins_anew(
    copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = copy("flax"), tmp_path / "out"
    with monkeypatch.context() as broken:
        broken.setattr("minidalle.published.importing.save_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            import_weights(str(folder), out)
    assert (out / "bart.safetensors").exists()
    import_weights(str(folder), out)
    assert {path.name for path in out.iterdir()} == {"tokenizer", "vqgan.safetensors", "bart.safetensors", "run.json"}
    with pytest.raises(InvalidValue, match="expected a new or empty folder"):
        import_weights(str(folder), out)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"final_logits_bias": torch.ones(1, 300)}, "final_logits_bias is not zero"),
        ({"lm_head.weight": torch.ones(300, 8)}, "lm_head.weight differs from shared.weight: expected one matrix"),
        ({"model.shared.weight": torch.ones(299, 8)}, r"shared.weight has the shape \[299, 8\]: expected \[300, 8\]"),
    ],
)
def test_a_classic_bart_that_ours_cannot_be(edit: dict[str, Tensor], message: str, tmp_path: Path) -> None:
    import transformers
    from safetensors.torch import load_file, save_file

    sizes = dict.fromkeys(("encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads"), 1)
    config = transformers.BartConfig(
        vocab_size=300, max_position_embeddings=16, d_model=8, encoder_ffn_dim=8, decoder_ffn_dim=8, **sizes
    )
    folder = tmp_path / "classic"
    trees.write_vocabulary(folder)
    transformers.BartForConditionalGeneration(config).save_pretrained(folder)
    save_file({**load_file(folder / "model.safetensors"), **edit}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        import_weights(str(folder), tmp_path / "out")
