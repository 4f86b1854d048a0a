"""Lesson 05's last exercises: rescaled attention by its products, and the copy test by SciPy's rank statistic."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from exercise_calls import SEEDS, outcome
from scipy.stats import mannwhitneyu
from torch import nn

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES

WHITE = 240


def answered(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """The cases of all seeds, and what the reference's probe returns."""
    exercise = EXERCISES[f"generalization.{name}"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            made = outcome(exercise, exercise.reference, case)
            assert not made.error
            yield dict(case), made.result


def stub(name: str) -> str:
    return " ".join((inspect.getdoc(EXERCISES[f"generalization.{name}"].reference) or "").split())


def augmented(weights: dict[str, Any], part: str) -> np.ndarray:
    """Weight and bias as one matrix, for tokens with a 1 at their end."""
    weight = weights[f"{part}.weight"].double().numpy()
    bias = weights.get(f"{part}.bias", torch.zeros(len(weight))).double().numpy()
    return np.concatenate([weight, bias[:, None]], 1)


def test_the_example_of_reparameterize_is_true() -> None:
    text = "query weight [[3.0]], its bias [1.0] and the key weight [[5.0]], at α = 2 → [[6.0]], [2.0] and [[2.5]]"
    assert text in stub("reparameterize")
    branch = nn.ModuleDict({"query": nn.Linear(1, 1), "key": nn.Linear(1, 1)})
    with torch.no_grad():
        for parameter, value in zip(branch.parameters(), (3.0, 1.0, 5.0, 7.0), strict=True):
            parameter.fill_(value)
    found = EXERCISES["generalization.reparameterize"].reference(branch, 2.0)
    assert [parameter.item() for parameter in found.parameters()] == [6.0, 2.0, 2.5, 3.5]


def test_products_of_queries_and_keys_stay_and_all_else_is_untouched() -> None:
    """As one bilinear form of two tokens, [W_q b_q]ᵀ [W_k b_k]; queries are α times as long, where they are named."""
    for case, found in answered("reparameterize"):
        assert found["the model that was given"] == "as it was"
        assert found["largest change of an output"] == 0
        for name, branch in case["branches"].items():
            old = {f"{part}.{key}": one for part, own in branch.items() for key, one in own.items()}
            new = {
                key.removeprefix(f"{name}."): one
                for key, one in found["weights of the copy"].items()
                if key.startswith(f"{name}.")
            }
            assert new.keys() == old.keys()
            named = "query" in branch and name in (case["layers"] or case["branches"])
            for key in old:
                if not named or key.split(".")[0] not in ("query", "key"):
                    assert torch.equal(new[key], old[key])
            if named:
                before, after = (augmented(of, "query").T @ augmented(of, "key") for of in (old, new))
                np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)
                lengths = [np.linalg.norm(augmented(weights, "query")) for weights in (old, new)]
                assert lengths[1] / lengths[0] == pytest.approx(case["alpha"], rel=1e-6)


def test_the_keys_bias_shows_in_no_output_as_its_advice_says() -> None:
    """It adds the same to all scores of a query, and a softmax takes that away again; every other half-way shows."""
    exercise = EXERCISES["generalization.reparameterize"]
    wrong = {answer.__name__: answer for answer in exercise.wrong}
    silent = {"leaves_cross_attention_out", "forgets_the_keys_bias", "goes_through_all_branches_always",
              "stops_after_the_first_branch", "takes_one_for_the_other", "shares_alpha_between_both", "squares_alpha",
              "changes_the_model_itself",
              "rescales_layers_that_are_no_attention", "copies_the_model_for_each_branch_anew",
              "rescales_the_model_and_returns_a_copy", "multiplies_the_keys_bias"}  # fmt: skip
    for name, answer in wrong.items():
        moved = [
            outcome(exercise, answer, case).result["largest change of an output"]
            for seed in SEEDS
            for case in exercise.cases(seed)
        ]
        if name != "changes_the_model_itself":  # whose outputs are compared with themselves
            assert (max(moved) == 0) == (name in silent), name


def test_a_report_on_other_weights_says_how_far_outputs_are_off() -> None:
    exercise = EXERCISES["generalization.reparameterize"]
    (wrong,) = (answer for answer in exercise.wrong if answer.__name__ == "multiplies_the_keys_too")
    report = examine(exercise, wrong)
    assert not report.passed
    assert "multiplies the keys too" in str(report)


def distances(pictures: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Pair by pair, over the pixels that either of the two has drawn, in whole numbers as far as they go."""
    table = np.zeros((len(pictures), len(train)))
    for i, one in enumerate(pictures.astype(int)):
        for j, other in enumerate(train.astype(int)):
            drawn = [(picture < WHITE).any(-1) for picture in (one, other)]
            clean = [np.where(mask[..., None], picture, 255) for mask, picture in zip(drawn, (one, other), strict=True)]
            pixels = (drawn[0] | drawn[1]).sum() * 3
            table[i, j] = ((clean[0] - clean[1]) ** 2).sum() / pixels if pixels else 0
    return table


def test_the_example_of_the_copy_test_is_true() -> None:
    """Distances go with the square of the gray: 0 and 2 of drawn pictures, 1 and 2 of held-out ones, in other units."""
    assert "Distances 0, 2 of drawn pictures and 1, 2 of held-out ones" in stub("copy_test")
    assert "→ 2.5 / 4 = 0.625" in stub("copy_test")
    grays = ([0, 20], [0], [10, 20])
    pictures = [np.array(gray, np.uint8)[:, None, None, None].repeat(3, -1) for gray in grays]
    share, nearest = EXERCISES["generalization.copy_test"].reference(*pictures)
    assert share == 0.625
    assert nearest.tolist() == [0, 0]


def test_the_copy_test_is_mann_whitneys_u() -> None:
    for case, found in answered("copy_test"):
        generated, train, heldout = (pictures.numpy() for pictures in case.values())
        far, null = distances(generated, train), distances(heldout, train).min(1)
        u = mannwhitneyu(null, far.min(1)).statistic  # pairs in which the held-out one is farther, ties half
        assert found["share"] == pytest.approx(u / (len(far) * len(null)), abs=1e-12)
        assert found["nearest"].tolist() == far.argmin(1).tolist()


def test_some_drawings_are_copies_and_some_distances_are_equal() -> None:
    for seed in SEEDS:
        cases: list[dict[str, Any]] = [dict(case) for case in EXERCISES["generalization.copy_test"].cases(seed)]
        tables = [[distances(case[name].numpy(), case["train"].numpy()).min(1) for name in ("generated", "heldout")]
                  for case in cases]  # fmt: skip
        assert sum(bool((far == 0).any()) for far, _ in tables) >= 2
        assert sum(bool(np.isin(far, null).any()) for far, null in tables) >= 2
        assert all((null > 0).all() for _, null in tables)  # nothing that is held out is in train
