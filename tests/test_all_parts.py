"""All solutions of lessons 01 to 04 at once: they train and draw, token for token, what the package does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

import minidalle
from minidalle import sampling
from minidalle.bart import sequences
from minidalle.course.parts import noted, use
from minidalle.course.submission import read_functions
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import Function
from minidalle.pipeline import TextToImage
from minidalle.presets import TINY
from minidalle.run import run

ROOT = Path(__file__).resolve().parents[1]
LESSONS = {"tokenization", "vqgan", "bart", "generation"}
CAPTIONS = ["red apple, noto style", "", "woman fairy medium-dark skin tone, twemoji style"]


@pytest.fixture(scope="module")
def solutions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a student has it who has written everything."""
    folder = tmp_path_factory.mktemp("solved") / "mine"
    for lesson in sorted(LESSONS):
        (book,) = (ROOT / "solutions").glob(f"*/{lesson}.ipynb")
        shutil.copytree(book.parent, folder / book.parent.name, ignore=shutil.ignore_patterns("*.py"))
    return folder


@contextmanager
def all_parts(folder: Path) -> Iterator[set[str]]:
    """Every function of the folder that is an exercise's stands in the pipeline; gives the ids of those called."""
    read = read_functions(folder).functions
    own: dict[str, Function] = {
        key: read[exercise.name] for key, exercise in EXERCISES.items() if exercise.name in read
    }
    assert own.keys() == {key for key, exercise in EXERCISES.items() if exercise.lesson in LESSONS}
    with noted(own) as called:
        yield called


@torch.inference_mode()
def drawn_without_cache(pipeline: TextToImage) -> Tensor:
    """What `pipeline.predict` draws, but every token comes out of the whole decoder: long [B, N]."""
    config = pipeline.bart.config
    text, mask = pipeline.encode_text([*CAPTIONS, *[""] * len(CAPTIONS)])
    memory = pipeline.bart.encode(text, mask)

    def next_logits(so_far: Tensor) -> Tensor:
        one_more = torch.cat([so_far, so_far.new_zeros(len(so_far), 1)], dim=1).repeat(2, 1)
        seen = sequences.shift_right(one_more, config.start_token)
        return sampling.guide(*pipeline.bart.decode(memory, mask, seen)[:, -1].chunk(2), 2.5)

    noise = sampling.picture_noise(range(len(CAPTIONS)), config.image_length, config.image_codes)
    return sampling.generate_tokens(next_logits, noise, TINY.sampling)


def files(folder: Path) -> dict[str, bytes]:
    """Tokenizer, weights and pictures of a run."""
    kinds = (".json", ".safetensors", ".png")
    names = [*folder.glob("*.safetensors"), *folder.glob("tokenizer/*"), *folder.glob("pictures/*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in names if file.suffix in kinds}


@pytest.mark.slow
def test_with_all_solutions_a_tiny_run_is_the_packages_to_the_last_bit(
    solutions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "--preset", "tiny", "--out", "theirs", "--ranks", "1", "--device", "cpu", "--parts", str(solutions)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MINIDALLE_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-m", "minidalle", *words], capture_output=True, text=True, cwd=tmp_path,
                          env=environment, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "stand in for" not in done.stdout
    said = done.stdout.splitlines()[-1]
    assert ", 0 of the package's. Yours: " in said
    for name in ("merge_pair", "nearest_code", "decoder_layer", "sequence_loss", "generate_tokens"):
        assert name in said.partition("Also yours")[0]

    monkeypatch.setattr("minidalle.bart.running.are_ours", lambda functions: False)  # fast layers round otherwise
    run(TINY, tmp_path / "package", device="cpu", ranks=1)
    theirs, package = files(tmp_path / "theirs"), files(tmp_path / "package")
    assert {"bart.safetensors", "vqgan.safetensors", "tokenizer/tokenizer.json"} < theirs.keys() == package.keys()
    assert [name for name in package if theirs[name] != package[name]] == []

    pipeline = minidalle.load(tmp_path / "package")
    expected = drawn_without_cache(pipeline)
    with all_parts(solutions) as called:
        assert torch.equal(drawn_without_cache(minidalle.load(tmp_path / "theirs")), expected)
    assert {"bart.decoder_layer", "bart.causal_mask", "generation.guide"} <= called
    (way,) = (wrong for wrong in EXERCISES["generation.guide"].wrong if wrong.__name__ == "returns_only_the_way")
    with use({"generation.guide": way}):
        assert not torch.equal(drawn_without_cache(pipeline), expected)  # a mistake would be seen
