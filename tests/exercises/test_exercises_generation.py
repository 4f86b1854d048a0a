"""Lesson 04: its plan, its examples, and answers to its cases from elsewhere: transformers, SciPy, closed forms."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, distance, outcome
from scipy import stats
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.generation.logits_process import ClassifierFreeGuidanceLogitsProcessor
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES
from minidalle.exercises.probes.generation import TableModel
from minidalle.sampling import SamplingConfig, generate_tokens, picture_noise

LESSON = [exercise for exercise in EXERCISES.values() if exercise.lesson == "generation"]
ALL = pytest.mark.parametrize("exercise", LESSON, ids=[exercise.id for exercise in LESSON])
OFF = -math.inf


def test_the_plan() -> None:
    order = ["apply_temperature", "top_k_filter", "top_p_filter", "guide", "decode_step", "generate_tokens"]
    assert [exercise.name for exercise in LESSON] == [*order, "clip_loss", "rerank"]
    assert 80 <= sum(exercise.minutes for exercise in LESSON) <= 100
    assert all(exercise.minutes == 5 * exercise.points for exercise in LESSON)


SAYS = TableModel(start=[0.0, 1.0], after=[[0.0, 0.0], [5.0, -0.5]])
"""A model that says [0.0, 1.0] to no tokens and [5.0, 0.0] to token 1."""

EXAMPLES: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("apply_temperature", ([1.0, 3.0, 2.0], 2.0), [0.5, 1.5, 1.0], "[1.0, 3.0, 2.0], 2.0 → [0.5, 1.5, 1.0]"),
    ("apply_temperature", ([1.0, 3.0, 2.0], 0), [OFF, 0.0, OFF], "[1.0, 3.0, 2.0], 0 → [−inf, 0.0, −inf]"),
    (
        "top_k_filter",
        ([1.0, 4.0, 0.0, 3.0], 2),
        [OFF, 4.0, OFF, 3.0],
        "[1.0, 4.0, 0.0, 3.0], 2 → [−inf, 4.0, −inf, 3.0]",
    ),
    ("top_k_filter", ([2.0, 1.0, 2.0], 1), [2.0, OFF, 2.0], "[2.0, 1.0, 2.0], 1 → [2.0, −inf, 2.0]"),
    ("top_p_filter", ([-1.6, -0.7, -1.2], 0.6), [OFF, -0.7, -1.2], "[0.2, 0.5, 0.3]: 0.6 → [−inf, −0.7, −1.2]"),
    ("top_p_filter", ([-1.6, -0.7, -1.2], 0.4), [OFF, -0.7, OFF], "0.4 → [−inf, −0.7, −inf]"),
    ("top_p_filter", ([-1.6, -0.7, -1.2], 0.9), [-1.6, -0.7, -1.2], "with 0.9 all stay"),
    ("guide", ([2.0, 0.0], [1.0, 1.0], 3.0), [4.0, -2.0], "[2.0, 0.0], [1.0, 1.0], 3.0 → [4.0, −2.0]"),
    (
        "decode_step",
        ([[1.0, 2.0, 9.0]], [[0.5, 0.0]], SamplingConfig(temperature=4.0)),
        [0],
        "[[1.0, 2.0, 9.0]], [[0.5, 0.0]], SamplingConfig(temperature=4.0) → [0]",
    ),
    (
        "generate_tokens",
        (SAYS, [[[0.0, 0.0], [0.0, 0.0]]], SamplingConfig()),
        [[1, 0]],
        "says [[0.0, 1.0]] to no tokens [[]] and [[5.0, 0.0]] to [[1]]: next_logits, zeros [1, 2, 2], SamplingConfig() "
        "→ [[1, 0]]",
    ),
    (
        "clip_loss",
        ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], 2.0),
        math.log(1 + math.exp(-2)),
        "[[1.0, 0.0], [0.0, 1.0]], the same once more, 2.0 → ln(1 + e⁻²) = 0.127",
    ),
    (
        "rerank",
        ([[0.1, 0.9, 0.5], [0.7, 0.2, 0.7]], 2),
        [[1, 2], [0, 2]],
        "[[0.1, 0.9, 0.5], [0.7, 0.2, 0.7]], 2 → [[1, 2], [0, 2]]",
    ),
]
"""Function, arguments, result, and how the docstring writes them."""


@pytest.mark.parametrize(("name", "arguments", "result", "text"), EXAMPLES)
def test_examples_are_true(name: str, arguments: tuple[Any, ...], result: Any, text: str) -> None:
    reference = EXERCISES[f"generation.{name}"].reference
    assert text in " ".join((inspect.getdoc(reference) or "").split())
    given = [torch.tensor(argument) if isinstance(argument, list) else argument for argument in arguments]
    torch.testing.assert_close(reference(*given), torch.tensor(result), rtol=0, atol=1e-6)


def answered(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """The cases of all seeds, and what the reference's probe returns."""
    exercise = EXERCISES[f"generation.{name}"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            made = outcome(exercise, exercise.reference, case)
            assert not made.error
            yield dict(case), made.result


def warped(logits: Tensor, *warpers: Any) -> Tensor:
    """What transformers makes of logits; it wants rows and knows no others."""
    no_ids: Any = None
    return LogitsProcessorList(warpers)(no_ids, logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)


def test_temperature_is_that_of_transformers_and_0_is_its_limit() -> None:
    for case, found in answered("apply_temperature"):
        logits, temperature = case["logits"], case["temperature"]
        if temperature:
            torch.testing.assert_close(found, warped(logits, TemperatureLogitsWarper(temperature)))
        else:
            earlier = logits - 0.01 * torch.arange(logits.shape[-1])  # of equals, the first is the limit
            cold = warped(earlier, TemperatureLogitsWarper(1e-4)).softmax(-1)
            torch.testing.assert_close(found.softmax(-1), cold)
            assert (found.amax(-1) == 0).all()


def test_top_k_is_that_of_transformers() -> None:
    for case, found in answered("top_k_filter"):
        assert torch.equal(found, warped(case["logits"], TopKLogitsWarper(case["k"])))


def test_top_p_is_that_of_transformers_but_for_equals() -> None:
    """Of equals theirs keeps the last; here it is the first. That case is told from the others by its p."""
    for case, found in answered("top_p_filter"):
        logits, p = case["logits"], case["p"]
        if p == 0.5:
            first_two = (logits == logits.max()).cumsum(0) <= 2
            assert torch.equal(found, logits.masked_fill(~first_two, OFF))
        else:
            assert torch.equal(found, warped(logits, TopPLogitsWarper(p)))


def test_top_p_is_the_smallest_set() -> None:
    """By its definition: what stays has p, and without its least likely token it has not. Rounding decides nothing."""
    for case, found in answered("top_p_filter"):
        probability = case["logits"].double().softmax(-1)
        kept = probability.masked_fill(found == OFF, 0.0)
        least = kept.masked_fill(kept == 0, math.inf).amin(-1)
        if case["p"] == 0.5:  # four equals
            assert kept.sum().item() == 0.5
        elif case["p"] < 1:
            assert (kept.sum(-1) > case["p"] + 0.005).all()
            assert (kept.sum(-1) - least < case["p"] - 0.005).all()


def test_guidance_is_that_of_transformers() -> None:
    """Theirs knows only scales above 1."""
    for case, found in answered("guide"):
        conditional, unconditional, scale = case.values()
        if scale > 1:
            rows = [logits.reshape(-1, logits.shape[-1]) for logits in (conditional, unconditional)]
            ids = torch.zeros(len(rows[0]), 1, dtype=torch.long)
            theirs = ClassifierFreeGuidanceLogitsProcessor(scale)(ids, torch.cat(rows))
            torch.testing.assert_close(found, theirs.reshape(found.shape))
        assert scale != 1 or torch.equal(found, conditional)
        assert scale != 0 or torch.equal(found, unconditional)


def kept(logits: Tensor, config: dict[str, Any]) -> Tensor:
    """Temperature and filters by transformers."""
    if config["temperature"] == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).float().log()
    warpers: list[Any] = [TemperatureLogitsWarper(config["temperature"])]
    warpers += [TopKLogitsWarper(config["top_k"])] if config["top_k"] else []
    warpers += [TopPLogitsWarper(config["top_p"])] if config["top_p"] < 1 else []
    return warped(logits, *warpers)


def test_a_step_is_that_of_transformers_with_noise() -> None:
    for case, found in answered("decode_step"):
        noise = case["noise"]
        assert torch.equal(found, (kept(case["logits"][:, : noise.shape[1]], case) + noise).argmax(-1))


def test_pictures_are_those_of_a_loop_by_hand() -> None:
    """Number by number, with what transformers makes of the logits; the model is asked once for each position."""
    for case, found in answered("generate_tokens"):
        pictures, length, codes = case["noise"].shape
        for picture, noise in enumerate(case["noise"]):
            logits = case["start"].clone()
            for position in range(length):
                token = int((kept(logits[:codes].unsqueeze(0), case)[0] + noise[position]).argmax())
                assert found["tokens"][picture, position] == token
                logits = logits / 2 + case["after"][token]
        assert found["shapes that the model was shown"] == [f"[{pictures}, {t}]" for t in range(length)]


def test_many_pictures_have_the_probabilities_of_the_chain_rule() -> None:
    """Two tokens with p(first) p(second given first), by a chi-square test, which another model does not pass."""
    model = TableModel([0.5, -0.5, 0.0, 9.0], [[1.0, 0.0, -1.0, 9.0], [0.0, 2.0, 0.0, 9.0], [-1.0, 0.0, 1.0, 9.0]])
    config, count = SamplingConfig(temperature=1.5), 9000
    tokens = generate_tokens(model, picture_noise([7], 2 * count, 3).view(count, 2, 3), config)
    counts = torch.bincount(3 * tokens[:, 0] + tokens[:, 1], minlength=9)

    def chance(temperature: float) -> Tensor:
        first, after = (torch.tensor(table).double()[..., :3] for table in (model.start, model.after))
        second = ((first / 2 + after) / temperature).softmax(-1)
        return ((first / temperature).softmax(-1).unsqueeze(1) * second).flatten()

    assert stats.chisquare(counts, count * chance(1.5)).pvalue > 1e-3
    assert stats.chisquare(counts, count * chance(1.0)).pvalue < 1e-6


def test_the_loss_and_its_gradients_are_those_of_transformers() -> None:
    """Theirs is given vectors of any length, so its gradients are across what it makes of them."""
    for case, found in answered("clip_loss"):
        pictures, captions, scale = (tensor.clone().requires_grad_() for tensor in case.values())
        similarity = F.normalize(captions, dim=1) @ F.normalize(pictures, dim=1).T * scale
        loss = image_text_contrastive_loss(similarity)
        loss.backward()
        torch.testing.assert_close(found["loss"], loss.detach(), rtol=0, atol=1e-5)
        for name, tensor in zip(case, (pictures, captions, scale), strict=True):
            torch.testing.assert_close(found["gradients"][name], tensor.grad, rtol=0, atol=1e-5)


def test_vectors_of_the_loss_have_length_1() -> None:
    for case, _ in answered("clip_loss"):
        for name in ("image_vectors", "text_vectors"):
            torch.testing.assert_close(case[name].norm(dim=1), torch.ones(len(case[name])))


def test_the_best_are_those_of_ranks() -> None:
    for case, found in answered("rerank"):
        ranks = stats.rankdata(-case["similarity"].numpy(), method="ordinal", axis=1)  # of equals, the first first
        expected = np.stack([np.flatnonzero(row <= case["keep"])[row[row <= case["keep"]].argsort()] for row in ranks])
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["decode_step", "generate_tokens"])
def test_rounding_decides_no_draw(name: str) -> None:
    """A little more or less noise for later tokens changes nothing, and every case has its pictures, whatever the
    seed: they were searched for."""
    exercise = EXERCISES[f"generation.{name}"]
    pictures = {"decode_step": [1] * 8 + [3, 2, 40, 40], "generate_tokens": [1, 1, 1, 2, 1, 1, 4, 3]}[name]
    for seed in (*SEEDS, *range(100, 200)):
        cases: list[dict[str, Any]] = [dict(case) for case in exercise.cases(seed)]
        assert [len(case["noise"]) for case in cases] == pictures
        for case in cases:
            tilt = 5e-4 * torch.arange(case["noise"].shape[-1])
            made = [
                outcome(exercise, exercise.reference, {**case, "noise": case["noise"] + step}).result
                for step in (-tilt, tilt)
            ]
            assert distance(*made) == 0


@ALL
def test_what_goes_wrong_is_shown_whole(exercise: Any) -> None:
    """Each mistake shows on a case that is small enough to be printed to its last number."""
    for answer in exercise.wrong:
        report = examine(exercise, answer)
        assert [mistake for mistake, _ in report.looks_like] == [answer.__name__.replace("_", " ")]
        assert report.failing
        assert not any("…" in text for text in (*report.failing.given, report.failing.yours, report.failing.expected))
