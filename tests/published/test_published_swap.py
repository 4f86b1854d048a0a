"""Published-layout weights run on a student's own functions of lessons 03 and 04, token for token."""

import sys
from pathlib import Path

import published_trees as trees
import pytest
import torch
from torch import Tensor

from minidalle.course.parts import noted
from minidalle.exercises import EXERCISES
from minidalle.pipeline import load
from minidalle.published import import_weights
from minidalle.sampling_config import SamplingConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "course"))
from own_functions import functions_of, solved

CAPTIONS = ["an armchair in the shape of an avocado", "a red apple"]
SAMPLING = SamplingConfig(guidance=10.0, top_k=40, top_p=0.95)
LESSONS = ("bart", "generation")
NEEDED = {
    "split_heads", "attend", "padding_mask", "glu_feed_forward", "encoder_layer",
    "apply_temperature", "top_k_filter", "top_p_filter", "guide", "generate_tokens", "causal_mask", "decoder_layer",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(leaves: dict[str, Tensor], painter: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swapped")
    trees.write_flax_dalle(folder / "source", trees.stack_layers(leaves))
    trees.write_flax_vqgan(folder / "source" / "vqgan", painter)
    import_weights(str(folder / "source"), folder / "run")
    return folder / "run"


def drawn(run: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Image tokens, the logits of a whole pass, and the picture."""
    pipeline = load(run)
    text, mask = pipeline.encode_text(CAPTIONS)
    tokens = pipeline.predict(text, mask, [3, 4], SAMPLING)
    with torch.no_grad():
        logits = pipeline.bart(text, mask, tokens)
    return tokens, logits, pipeline.decode_image(tokens)


@pytest.mark.parametrize("whose", ["written down again", "written in another way"])
def test_the_students_functions_draw_the_same_tokens(whose: str, run: Path, tmp_path: Path) -> None:
    chosen = {key: exercise for key, exercise in EXERCISES.items() if key.split(".")[0] in LESSONS}
    if whose == "written down again":
        functions = functions_of(solved(), tmp_path)
        parts = {key: functions[exercise.name] for key, exercise in chosen.items()}
    else:
        parts = {key: exercise.also_right[0] for key, exercise in chosen.items()}
    expected = drawn(run)
    with noted(parts) as called:
        tokens, logits, pictures = drawn(run)
    assert {EXERCISES[key].name for key in called & parts.keys()} >= NEEDED
    assert torch.equal(tokens, expected[0])
    assert len(tokens.unique()) > 20
    torch.testing.assert_close(logits, expected[1], atol=1e-4, rtol=1e-4)
    assert torch.equal(pictures, expected[2])
