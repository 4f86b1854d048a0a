"""Lesson 03's sequences, masks and attention against torch's and Hugging Face's own, on the cases that students see."""

from typing import Any

import pytest
import torch
from exercise_calls import SEEDS, distance, outcome
from torch import nn
from torch.nn import functional as F
from transformers.models.bart.modeling_bart import shift_tokens_right

from minidalle.exercises import EXERCISES, Case

seeds = pytest.mark.parametrize("seed", SEEDS)


def answers(name: str, seed: int) -> list[tuple[Case, Any]]:
    """Each case of an exercise, and what the reference makes of it."""
    exercise = EXERCISES[f"bart.{name}"]
    return [(case, outcome(exercise, exercise.reference, case).result) for case in exercise.cases(seed)]


@seeds
def test_shift_right_is_hugging_faces(seed: int) -> None:
    for case, shifted in answers("shift_right", seed):
        assert torch.equal(shifted, shift_tokens_right(case["tokens"], 0, case["start"]))


@seeds
def test_the_causal_mask_is_torchs(seed: int) -> None:
    for case, mask in answers("causal_mask", seed):
        assert torch.equal(~mask, nn.Transformer.generate_square_subsequent_mask(case["length"]).isinf())


@seeds
def test_the_padding_mask_lets_real_tokens_through_for_everybody(seed: int) -> None:
    for case, mask in answers("padding_mask", seed):
        captions, length = case["mask"].shape
        allowed = mask.expand(captions, 2, length, length)
        assert torch.equal(allowed, torch.einsum("bs,ht->bhts", case["mask"].long(), torch.ones(2, length).long()) == 1)


@seeds
def test_heads_are_cut_as_torchs_attention_cuts_them(seed: int) -> None:
    """With weights that change nothing, what torch's attention gives is the mix of what ours sees, piece by piece."""
    for case, pieces in answers("split_heads", seed):
        x, heads = case["x"] / 100, case["heads"]
        width = x.shape[-1]
        torchs = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        with torch.no_grad():
            torchs.in_proj_weight.copy_(torch.eye(width).repeat(3, 1))
            torchs.out_proj.weight.copy_(torch.eye(width))
            expected = torchs(x, x, x)[0]
        mixed = F.scaled_dot_product_attention(*[pieces / 100] * 3)
        assert distance(torch.cat(list(mixed.unbind(1)), -1), expected) < 1e-5


@seeds
def test_attention_is_torchs(seed: int) -> None:
    for case, mixed in answers("attend", seed):
        mask = case["mask"]
        looks = torch.ones(1, dtype=torch.bool) if mask is None else mask.any(-1, keepdim=True)
        expected = F.scaled_dot_product_attention(case["query"], case["key"], case["value"], attn_mask=mask)
        mean = case["value"].mean(-2, keepdim=True)
        assert distance(mixed["output"], torch.where(looks, expected, mean)) < 1e-5


ROW = torch.tensor([[[[1.0], [1.0]]]])
EXAMPLES = {
    "shift_right": ((torch.tensor([[5, 6, 7]]), 9), torch.tensor([[9, 5, 6]]), "[[5, 6, 7]], 9 → [[9, 5, 6]]"),
    "causal_mask": ((2,), torch.tensor([[True, False], [True, True]]), "2 → [[True, False], [True, True]]"),
    "padding_mask": (
        (torch.tensor([[True, False]]),),
        torch.tensor([[[[True, False]]]]),
        "[[True, False]] → [[[[True, False]]]]",
    ),
    "split_heads": (
        (torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]]), 2),
        torch.tensor([[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]),
        "[[[1, 2, 3, 4], [5, 6, 7, 8]]] → [[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]",
    ),
    "attend": (
        (torch.tensor([[[[2.0]]]]), ROW, torch.tensor([[[[0.0], [8.0]]]])),
        torch.tensor([[[[4.0]]]]),
        "[[[[2.0]]]], [[[[1.0], [1.0]]]], [[[[0.0], [8.0]]]] → [[[[4.0]]]]",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_true(name: str) -> None:
    arguments, expected, words = EXAMPLES[name]
    reference = EXERCISES[f"bart.{name}"].reference
    assert words in " ".join((reference.__doc__ or "").split())
    assert torch.equal(reference(*arguments), expected)
