"""Functions of others in the whole pipeline: they are reached, draw the same, and are named; in every process."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from exercises.entry_points import ENTRIES, shown
from house_rules import EXERCISES as NAMES
from own_functions import functions_of, solved
from PIL import Image

from minidalle.bart import Bart
from minidalle.cli.drawing import draw_captions
from minidalle.cli.own_parts import credit, own_parts
from minidalle.course.parts import noted, use, use_from
from minidalle.course.submission import contents
from minidalle.course.swap import standing
from minidalle.data import DataConfig
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.pipeline import TextToImage
from minidalle.presets import TINY
from minidalle.run import _in_block, run
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer, bpe
from minidalle.training.distributed import Ranks, launch
from minidalle.vqgan import VQGAN

CAPTIONS = [
    "red apple, noto style",
    "a",
    "",
    "cat 🐈 of a woman's: dark skin tone, and more words than there is room for",
]
SAMPLING = SamplingConfig(temperature=0.9, top_k=20, top_p=0.95, guidance=2.5)
MOST = max(len(exercise.also_right) for exercise in EXERCISES.values())
OTHERS = {"VQGANStage.step", "BartStage.step", "ClipStage.step", "reconstruction_loss", "draw_best"}
"""What a pipeline that only draws, and asks no judge, does not reach."""
IDLE = ("explore", "generalization")  # lessons that draw nothing
ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


class Reached(Exception):
    """Raised in a function's place."""


def reached(*arguments: Any, **named: Any) -> Any:
    raise Reached


def drawn() -> tuple[list[Any], torch.Tensor]:
    """A tokenizer trained and captions drawn by a tiny pipeline: all tokens on the way, and the pictures."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(CAPTIONS * 3, TINY.tokenizer)
    vqgan, bart = VQGAN(TINY.vqgan), Bart(TINY.bart)
    with torch.no_grad():
        for parameter in bart.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        vqgan.quantize.codebook.mul_(100)
    pipeline = TextToImage(tokenizer, vqgan, bart)
    text, mask = pipeline.encode_text(CAPTIONS)
    image = pipeline.predict(text, mask, range(4), SAMPLING)
    words = [tokenizer.decode(row[keep].tolist()) for row, keep in zip(text, mask, strict=True)]
    tokens = [tokenizer.vocab, tokenizer.merges, text.tolist(), mask.tolist(), image.tolist(), words]
    return tokens, pipeline.decode_image(image)


@pytest.mark.parametrize("turn", range(MOST))
def test_with_all_other_right_answers_every_token_and_picture_is_the_same(turn: int) -> None:
    tokens, pictures = drawn()
    parts = {key: exercise.also_right[turn % len(exercise.also_right)] for key, exercise in EXERCISES.items()}
    with noted(parts) as called:
        own_tokens, own_pictures = drawn()
    assert own_tokens == tokens
    torch.testing.assert_close(own_pictures, pictures, rtol=0, atol=1e-5)  # other orders of adding are right, too
    reaches = {EXERCISES[key].reaches for key in called}
    drawing = {exercise.reaches for exercise in EXERCISES.values() if exercise.lesson not in IDLE}
    assert reaches == drawing - OTHERS


@ALL
def test_a_swapped_function_reaches_the_entry_point_that_its_exercise_names(exercise: Any) -> None:
    expected = shown(ENTRIES[exercise.reaches]())
    with use({exercise.id: reached}), pytest.raises(Reached):
        ENTRIES[exercise.reaches]()
    assert shown(ENTRIES[exercise.reaches]()) == expected


def test_the_house_rule_knows_every_exercise() -> None:
    """A default or table that captured one would escape the swap."""
    assert {exercise.name for exercise in EXERCISES.values()} <= NAMES


def test_who_took_part_is_who_was_called() -> None:
    own = {key: EXERCISES[f"tokenization.{name}"].also_right[0] for name in ("decode", "pad_batch")
           for key in (f"tokenization.{name}",)}  # fmt: skip
    tokenizer = Tokenizer.train(CAPTIONS, TINY.tokenizer)
    with noted(own) as called:
        assert not called
        assert standing("tokenization.decode").__wrapped__ is own["tokenization.decode"]  # type: ignore[attr-defined]
        tokenizer.encode_batch(["red"])
    names = ("text_to_bytes", "merge_pair", "encode", "pad_batch")
    assert called == {f"tokenization.{name}" for name in names}
    assert credit(own, called) == (
        "Drawn by 1 of yours, 3 of the package's. Yours: pad_batch. "
        "The package's: text_to_bytes, merge_pair, encode. Also yours, but not needed here: decode."
    )
    assert credit(called, called) == f"Drawn by 4 of yours, 0 of the package's. Yours: {', '.join(names)}."
    assert credit((), called).startswith("Drawn by 0 of yours, 4 of the package's. The package's: text_to_bytes,")


def test_a_function_that_only_another_one_calls_is_noted_too(tmp_path: Path) -> None:
    """A student's encode calls their merge_pair by its name in their own notebook."""
    own = functions_of(solved(), tmp_path)
    tokenizer = Tokenizer.train(CAPTIONS, TINY.tokenizer)
    with noted({f"tokenization.{name}": own[name] for name in ("encode", "merge_pair")}) as called:
        tokenizer.encode("red apple")
    assert called >= {"tokenization.encode", "tokenization.merge_pair"}
    assert own["encode"].__globals__["merge_pair"] is own["merge_pair"]


def tell(ranks: Ranks, folder: Path) -> None:
    (folder / f"{ranks.rank}.txt").write_text(str(bpe.encode("red", {}, {})))


@pytest.mark.slow
def test_every_rank_has_them(tmp_path: Path) -> None:
    text = "def encode(text, vocab, ranks):\n    return ['mine', len(text)]\n"
    functions_of(text, tmp_path)
    block = partial(use_from, contents(tmp_path / "answers.py"), ("tokenization.encode",))
    with block():
        launch(_in_block, 2, block, tell, tmp_path)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["['mine', 3]"] * 2


def test_what_other_ranks_read_is_what_was_read_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    functions_of(solved({"decode": ""}), folder)
    with own_parts(folder) as (block, ids):
        (folder / "answers.py").write_text("def encode(text, vocab, ranks):\n    raise SystemExit\n")
        sent = pickle.dumps(block)
    assert ids == tuple(key for key in EXERCISES if key != "tokenization.decode")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Running the code in {folder}: it is yours, and can do all that you can."
    assert said[-1].startswith("Drawn by ")
    assert bpe.encode is EXERCISES["tokenization.encode"].reference
    shutil.rmtree(folder)
    with pickle.loads(sent)():  # as on another machine, which has neither this folder nor a copy of it
        assert bpe.encode("", {}, {}) == []
        assert bpe.encode.__module__.startswith("submission_")


def test_of_folders_within_folders_the_same_is_read(tmp_path: Path) -> None:
    for name, lesson in (("decode", "a"), ("encode", "b/c")):
        (tmp_path / lesson).mkdir(parents=True)
        functions_of(f"def {name}(*arguments):\n    return {lesson!r}\n", tmp_path / lesson)
    with use_from(contents(tmp_path), ("tokenization.encode", "tokenization.decode")):
        assert (bpe.encode("", {}, {}), bpe.decode([], {})) == ("b/c", "a")


def test_a_folder_without_an_exercise_is_refused(tmp_path: Path) -> None:
    functions_of("def merge_pears():\n    return 3\n", tmp_path)
    words = r"--parts=.*: expected functions with an exercise's name, such as word_counts"
    with pytest.raises(InvalidValue, match=words), own_parts(tmp_path):
        pass
    with pytest.raises(InvalidValue, match="that is there"), own_parts(tmp_path / "nowhere"):
        pass


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "answers.py").write_text(
        "from nowhere import gold\ndef decode(ids, symbols):\n    raise NotImplementedError\n"
    )
    with own_parts(tmp_path):
        pass
    said = capsys.readouterr().out.splitlines()
    assert re.match(r"Left out: answers\.py: .*line 1: .*nowhere", said[1])
    assert said[2] == "The package's function stands in for decode (not written yet)."
    assert said[3] == "Drawn by 0 of yours, 0 of the package's."


NOTE = "    import os\n    open(os.path.join(os.environ['CALLED'], f'{os.getpid()}'), 'a').close()\n"


@pytest.mark.slow
def test_a_run_and_a_drawing_with_ones_own_parts(tmp_path: Path) -> None:
    """`minidalle run --ranks 2 --parts` on a few pictures, then `generate --parts`; all is as with the package's."""
    mine, called = tmp_path / "mine", tmp_path / "called"
    mine.mkdir()
    called.mkdir()
    source = solved()
    at = source.index("    ids = []\n    for word in split_words(text)")  # the first line of encode's body
    functions_of(source[:at] + NOTE + source[at:], mine)
    few_pictures(tmp_path / "pictures")
    environment = {**os.environ, "CALLED": str(called), "MINIDALLE_HOME": str(tmp_path / "home")}

    def command(*arguments: object) -> str:
        done = subprocess.run([sys.executable, "-m", "minidalle", *map(str, arguments)], capture_output=True, text=True,
                              cwd=tmp_path, env=environment, timeout=600)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = tmp_path / "run"
    said = command("run", "--preset", "tiny", "--data", "pictures", "--out", folder, "--ranks", 2, "--parts", mine)
    idle = [exercise.name for exercise in EXERCISES.values() if exercise.lesson in IDLE]
    idle += ["decode"]  # nothing is read back
    idle += ["glu_feed_forward", "top_k_filter", "clip_loss", "rerank"]  # the preset has no gate, top-k or judge
    idle = [exercise.name for exercise in EXERCISES.values() if exercise.name in idle]
    names = [exercise.name for exercise in EXERCISES.values() if exercise.name not in idle]
    assert said.splitlines()[-1] == (
        f"Drawn by {len(names)} of yours, 0 of the package's. Yours: {', '.join(names)}. "
        f"Also yours, but not needed here: {', '.join(idle)}."
    )
    assert json.loads((folder / "run.json").read_text())["parts"] == list(EXERCISES)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert f"a student's own took part for {', '.join(EXERCISES)}." in report
    assert len(list(called.iterdir())) == 2  # rank 0, and the other one that trained the BART
    run(TINY, tmp_path / "plain", stages=("tokenizer",), data=DataConfig(str(tmp_path / "pictures")))
    learned = [tmp_path / run / "tokenizer" / "tokenizer.json" for run in ("run", "plain")]
    assert learned[0].read_bytes() == learned[1].read_bytes()
    assert "parts" not in json.loads((tmp_path / "plain" / "run.json").read_text())
    said = command("generate", "square of color 7", "--run", folder, "--out", "mine.png", "--parts", mine)
    names = ["text_to_bytes", "merge_pair", "encode", "pad_batch", "residual_block"]
    names += ["padding_mask", "attend", "split_heads", "encoder_layer"]  # and the decoder's layers with a cache
    names += ["apply_temperature", "top_p_filter", "guide", "decode_step", "generate_tokens"]
    assert f"Drawn by {len(names)} of yours, 0 of the package's. Yours: {', '.join(names)}." in said
    draw_captions(["square of color 7"], 1, {}, 0, 1, folder, tmp_path / "plain.png", "cpu")
    assert (tmp_path / "mine.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
    assert not (tmp_path / "home").exists()  # no try is remembered


def few_pictures(folder: Path) -> None:
    """Squares of thirty colors, with captions beside them."""
    folder.mkdir()
    for number in range(30):
        Image.new("RGB", (16, 16), (8 * number, 255 - 8 * number, 80)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"square of color {number}")
