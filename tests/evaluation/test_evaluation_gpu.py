"""The evaluation on a GPU: every score is near the CPU's."""

from functools import partial

import pytest
import torch
from evaluation_world import make_pictures, make_pipeline

from minidalle.evaluation import evaluate
from minidalle.evaluation.free_text import Prompt
from minidalle.sampling_config import SamplingConfig

pytestmark = pytest.mark.gpu

PROMPTS = [Prompt("an apple", "name", ("apple",)), Prompt("someone who cooks", "words", ("cook", "judge"))]


def test_scores_are_those_of_the_cpu(cuda: torch.device) -> None:
    """Of an untrained pipeline that draws without chance; a last digit may decide one of the few rows."""
    found = []
    for where in ("cpu", cuda):
        pipeline = make_pipeline().to(torch.device(where))
        draw = partial(pipeline.draw, sampling=SamplingConfig(temperature=0))
        found.append(evaluate(pipeline, make_pictures(), draw, most=12, prompts=PROMPTS, prompt_seeds=2))
    here, there = (result.records() for result in found)
    assert len(here) == len(there) > 50
    near = 0
    for one, other in zip(here, there, strict=True):
        assert {k: v for k, v in one.items() if isinstance(v, str)} == {
            k: v for k, v in other.items() if isinstance(v, str)
        }
        near += all(other[k] == pytest.approx(v, rel=1e-2, abs=1e-3) for k, v in one.items() if isinstance(v, float))
    assert near >= 0.95 * len(here)
