"""Lesson 03, loss, schedule and layers: the docstrings' examples, and references against other people's code."""

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, distance, outcome
from torch import Tensor, nn
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from minidalle.bart import decoder_layer, encoder_layer, glu_feed_forward, sequence_loss
from minidalle.exercises import EXERCISES
from minidalle.runtime import Weights
from minidalle.training.schedule import warmup_schedule


def documented(text: str, function: object) -> bool:
    return text in " ".join((inspect.getdoc(function) or "").split())


def test_the_example_of_the_loss_is_true() -> None:
    assert documented("[[[2.0, 2.0], [0.0, 1.0986]]], [[0, 1]] → 0.490", sequence_loss)
    logits, targets = torch.tensor([[[2.0, 2.0], [0.0, 1.0986]]]), torch.tensor([[0, 1]])
    assert sequence_loss(logits, targets).item() == pytest.approx(0.490, abs=5e-4)
    torch.testing.assert_close(logits.softmax(-1), torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]), atol=1e-4, rtol=0)


def test_the_loss_is_torch_s() -> None:
    """Where padding's targets are ones that `cross_entropy` ignores."""
    exercise = EXERCISES["bart.sequence_loss"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            given: dict[str, Any] = dict(case)
            logits, targets, mask = given["logits"].clone().requires_grad_(), given["targets"], given["mask"]
            heard = targets if mask is None else targets.masked_fill(~mask, -100)
            loss = F.cross_entropy(logits.transpose(1, 2), heard)
            (gradient,) = torch.autograd.grad(loss, logits)
            expected = {"loss": loss.detach(), "gradients": {"logits": gradient}}
            assert distance(outcome(exercise, sequence_loss, case).result, expected) < 1e-4


def test_the_examples_of_the_schedule_are_true() -> None:
    assert documented("2 to warm up → 0.5, 1.0, 1.0, 0.75, 0.5, 0.25; with hold = 0.5 → 0.5,", warmup_schedule)
    assert [warmup_schedule(step, 6, 2) for step in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    held = [warmup_schedule(step, 6, 2, 0.5) for step in range(6)]
    assert held == pytest.approx([0.5, 1.0, 1.0, 1.0, 2 / 3, 1 / 3])


def theirs(steps: int, flat: int, decay: str) -> list[float]:
    """What Hugging Face's schedules do after a warm-up of `flat` steps; theirs begins at 0."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    make = get_cosine_schedule_with_warmup if decay == "cosine" else get_linear_schedule_with_warmup
    schedule = make(optimizer, flat, steps)
    shares = []
    for _ in range(steps):
        shares += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    return shares[flat:]


def test_the_schedule_is_hugging_faces_after_the_peak() -> None:
    exercise = EXERCISES["bart.warmup_schedule"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            given: dict[str, Any] = dict(case)
            steps, warmup = given["steps"], given["warmup"]
            flat = max(warmup, round(given["hold"] * steps))
            expected = [1 / warmup * step for step in range(1, warmup + 1)] + [1.0] * (flat - warmup)
            expected += theirs(steps, flat, given["decay"])
            assert outcome(exercise, warmup_schedule, case).result == pytest.approx(expected)


ONE = {"weight": torch.ones(1, 1)}
LOOK, THINK = dict.fromkeys(("query", "key", "value", "output"), ONE), {"up": ONE, "down": ONE}
TOKEN, SEEN = torch.ones(1, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.bool)


def test_the_examples_of_the_layers_are_true() -> None:
    assert documented("gelu(1) · 3 · 2 = [[[5.05]]]", glu_feed_forward)
    gated = {"gate": ONE, "up": {"weight": torch.tensor([[3.0]])}, "down": {"weight": torch.tensor([[2.0]])}}
    assert glu_feed_forward(gated, TOKEN).item() == pytest.approx(5.05, abs=5e-3)
    assert documented("1 + 1 = 2, then 2 + gelu(2) = [[[3.95]]]", encoder_layer)
    branches = {"attention": LOOK, "feed_forward": THINK}
    assert encoder_layer(branches, TOKEN, SEEN, 1).item() == pytest.approx(3.95, abs=5e-3)
    assert documented("1 + 1 = 2, then 2 + 3 = 5, then 5 + gelu(5) = [[[10.0]]]", decoder_layer)
    branches = {**branches, "cross_attention": LOOK}
    assert decoder_layer(branches, TOKEN, SEEN[0, 0], 3 * TOKEN, SEEN, 1).item() == pytest.approx(10.0, abs=5e-3)


def torchs(case: dict[str, Any], decodes: bool) -> nn.Module:
    """torch's own layer with a case's weights, which have norms before or after each branch, and no gates."""
    weights, thinks = case["weights"], case["weights"]["feed_forward"]
    make = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    first = "before" in thinks
    layer = make(case["x"].shape[-1], case["heads"], len(thinks["up"]["weight"]), 0.0, "gelu",
                 batch_first=True, norm_first=first)  # fmt: skip

    def bias(of: Weights) -> Tensor:
        return of.get("bias", torch.zeros(len(of["weight"])))

    looks = {"self_attn": "attention", **({"multihead_attn": "cross_attention"} if decodes else {})}
    state: dict[str, Tensor] = {}
    for place, branch in looks.items():
        parts = [weights[branch][part] for part in ("query", "key", "value")]
        output = weights[branch]["output"]
        state |= {f"{place}.in_proj_weight": torch.cat([part["weight"] for part in parts]),
                  f"{place}.in_proj_bias": torch.cat([bias(part) for part in parts]),
                  f"{place}.out_proj.weight": output["weight"], f"{place}.out_proj.bias": bias(output)}  # fmt: skip
    for place, part in (("linear1", "up"), ("linear2", "down")):
        state |= {f"{place}.weight": thinks[part]["weight"], f"{place}.bias": bias(thinks[part])}
    for number, branch in enumerate([*looks.values(), "feed_forward"], 1):
        norm = weights[branch]["before" if first else "after"]
        state |= {f"norm{number}.weight": norm["scale"], f"norm{number}.bias": norm["bias"]}
    layer.load_state_dict(state)
    return layer


def torch_has(case: dict[str, Any]) -> bool:
    """Whether torch's layers can do what a case asks for: they have norms, but not NormFormer's, and no gates."""
    attention, thinks = case["weights"]["attention"], case["weights"]["feed_forward"]
    normed = "before" in thinks or "after" in thinks
    return normed and not case["dropout"] and "gate" not in thinks and "inside" not in attention


@pytest.mark.parametrize("name", ["encoder_layer", "decoder_layer"])
def test_the_layers_are_torchs(name: str) -> None:
    exercise, compared = EXERCISES[f"bart.{name}"], 0
    for seed in SEEDS:
        for case in map(dict, exercise.cases(seed)):
            if torch_has(case):
                layer = torchs(case, decodes=name == "decoder_layer")
                if name == "decoder_layer":
                    mask = {"tgt_mask": ~case["mask"], "memory_key_padding_mask": ~case["memory_mask"][:, 0, 0]}
                else:
                    mask = {"src_key_padding_mask": ~case["mask"][:, 0, 0]}
                inputs = [case[key] for key in ("x", "memory") if key in case]
                with torch.no_grad():
                    expected = layer(*inputs, **mask)
                found: Any = outcome(exercise, exercise.reference, case).result
                assert distance(found["output"], expected) < 1e-4
                compared += 1
    assert compared == 2 * len(SEEDS)


@pytest.mark.parametrize("length", [2, 5])
def test_a_decoder_layer_reads_captions_of_any_length(length: int) -> None:
    """The exercise's cases have as many text tokens as image tokens: what mixes them up is then a wrong value."""
    (case,) = [dict(one) for one in EXERCISES["bart.decoder_layer"].cases(0) if torch_has(dict(one))][:1]
    memory = torch.randn(len(case["x"]), length, case["x"].shape[-1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torchs(case, decodes=True)(case["x"], memory, tgt_mask=~case["mask"])
    everything = torch.ones(len(memory), 1, 1, length, dtype=torch.bool)
    found = decoder_layer(case["weights"], case["x"], case["mask"], memory, everything, case["heads"])
    assert distance(found, expected) < 1e-4
