"""Weights by their name on the Hub: only what is needed is asked for, checked, and without a network said clearly."""

import hashlib
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import published_trees as trees
import pytest
from torch import Tensor

from minidalle.errors import InvalidValue
from minidalle.pipeline import load
from minidalle.published import import_weights


class Hub:
    """A Hub with the repositories of a folder, as `huggingface_hub` shows it."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self.copies = folder, copies
        self.online, self.wrong, self.asked = True, "", []

    def HfApi(self) -> "Hub":  # noqa: N802
        return self

    def model_info(self, name: str, revision: str | None, files_metadata: bool, timeout: int) -> SimpleNamespace:
        if not self.online:
            raise ConnectionError("no way out")
        files = [path for path in sorted((self.folder / name).rglob("*")) if path.is_file()]
        siblings = [SimpleNamespace(rfilename=path.relative_to(self.folder / name).as_posix(), lfs=self.lfs(path))
                    for path in files]  # fmt: skip
        return SimpleNamespace(sha=revision or "abc", siblings=siblings)

    def lfs(self, path: Path) -> SimpleNamespace | None:
        if path.suffix in (".json", ".txt"):
            return None
        content = b"other" if path.name == self.wrong else path.read_bytes()
        return SimpleNamespace(sha256=hashlib.sha256(content).hexdigest())

    def snapshot_download(
        self, name: str, revision: str | None, allow_patterns: list[str] | None = None, local_files_only: bool = False
    ) -> str:
        place = self.copies / name / (revision or "abc")
        if local_files_only:
            if not place.exists():
                raise FileNotFoundError("no copy")
            return str(place)
        self.asked.append((name, revision, allow_patterns))
        for file in allow_patterns or []:
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name / file, place / file)
        return str(place)


@pytest.fixture
def hub(
    leaves: dict[str, Tensor], painter: dict[str, Tensor], deep_painter: dict[str, Tensor], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Hub:  # fmt: skip
    folder = tmp_path / "hub"
    trees.write_flax_dalle(folder / "dalle-mini" / "dalle-mini", trees.stack_layers(leaves))
    trees.write_flax_vqgan(folder / "dalle-mini" / "vqgan_imagenet_f16_16384", painter)
    for end in ("", "_mini"):
        trees.write_torch_dalle(folder / "kuprel" / "min-dalle", trees.as_torch(leaves), deep_painter, end)
    for file in ("README.md", "dalle-mini/dalle-mini/flax_model.bin"):
        (folder / "dalle-mini" / "dalle-mini" / Path(file).name).write_text("not needed")
    found = Hub(folder, tmp_path / "copies")
    monkeypatch.setitem(sys.modules, "huggingface_hub", found)
    return found


def test_only_what_is_needed_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    import_weights("dalle-mini/dalle-mini@v1", tmp_path / "run")
    asked = {name: (revision, sorted(files)) for name, revision, files in hub.asked}
    assert asked["dalle-mini/dalle-mini"] == ("v1", ["config.json", "flax_model.msgpack", "merges.txt", "vocab.json"])
    assert asked["dalle-mini/vqgan_imagenet_f16_16384"] == ("abc", ["config.json", "flax_model.msgpack"])
    assert load(tmp_path / "run").bart.config.image_codes == trees.CODES


def test_the_small_one_of_two_is_downloaded_alone(hub: Hub, tmp_path: Path) -> None:
    import_weights("kuprel/min-dalle", tmp_path / "run", mini=True)
    ((_, _, files),) = hub.asked
    assert files == ["decoder_mini.pt", "detoker.pt", "encoder_mini.pt", "merges_mini.txt", "vocab_mini.json"]


def test_a_file_that_is_not_what_the_hub_has_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.wrong = "flax_model.msgpack"
    with pytest.raises(InvalidValue, match=r"flax_model\.msgpack: its SHA-256 is not the Hub's, .*: delete it"):
        import_weights("dalle-mini/dalle-mini", tmp_path / "run")


def test_without_a_network_the_copy_on_this_machine_is_taken(hub: Hub, tmp_path: Path) -> None:
    import_weights("dalle-mini/dalle-mini", tmp_path / "first")
    hub.online = False
    import_weights("dalle-mini/dalle-mini", tmp_path / "second")
    first, second = ((tmp_path / name / "bart.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


def test_without_network_and_copy_the_files_and_the_place_are_named(hub: Hub, tmp_path: Path) -> None:
    hub.online = False
    with pytest.raises(InvalidValue) as said:
        import_weights("dalle-mini/dalle-mini", tmp_path / "run")
    for words in (
        "no such folder here, no copy on this machine, and the Hub cannot be asked (ConnectionError: no way out)",
        "https://huggingface.co/dalle-mini/dalle-mini/tree/main",
        "flax_model.msgpack, config.json",
        "encoder.pt, decoder.pt, vocab.json, merges.txt",
        "put them into one folder, and give that folder instead",
    ):
        assert words in str(said.value)


def test_the_real_library_says_the_same_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")

    def closed(*arguments: object, **named: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", closed)
    with pytest.raises(InvalidValue, match="put them into one folder, and give that folder instead"):
        import_weights("nobody-at-all/no-such-model", tmp_path / "run")


def test_without_the_library_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InvalidValue, match="pip install huggingface_hub"):
        import_weights("dalle-mini/dalle-mini", tmp_path / "run")


@pytest.mark.parametrize("source", ["no-such-folder", "a/b/c", "../x", "https://example.org/a"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="expected a folder, or owner/name of a model"):
        import_weights(source, tmp_path / "run")
