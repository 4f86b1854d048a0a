"""Lesson 05's functions of matrices: answers to their cases from elsewhere, and what their probes ask of an answer."""

import numpy as np
import pytest
import torch
from exercise_calls import SEEDS, outcome
from scipy import stats

from minidalle.exercises import EXERCISES

TOP, TRACE, DENSITY = (
    EXERCISES[f"generalization.{name}"] for name in ("top_eigenvalue", "hutchinson_trace", "slq_density")
)


def test_the_top_eigenvalue_is_numpys() -> None:
    for seed in SEEDS:
        for case in TOP.cases(seed):
            found = outcome(TOP, TOP.reference, case).result
            values = np.linalg.eigvalsh(case["matrix"].numpy())
            wanted = {"LA": values[-1], "SA": values[0], "LM": max(values, key=abs)}[case["which"]]
            assert found["an eigenvalue is within the error bound"]
            assert found["products"] == "at most as many as allowed"
            assert found["value"] == "any" or found["value"] == pytest.approx(wanted, rel=1e-5)


def test_the_trace_of_a_diagonal_is_exact() -> None:
    for seed in SEEDS:
        for case in TRACE.cases(seed):
            found = outcome(TRACE, TRACE.reference, case).result
            assert found["products"] == case["samples"]
            assert found["mean"] == "any" or found["mean"] == pytest.approx(np.trace(case["matrix"].numpy()))


def test_the_density_is_a_mixture_of_normal_distributions() -> None:
    """Where there are as many products as eigenvalues, each has the share of the diagonal that it is on."""
    for seed in SEEDS:
        for case in DENSITY.cases(seed):
            found = outcome(DENSITY, DENSITY.reference, case).result
            assert found["area"].item() == pytest.approx(1, abs=1e-4)
            values, counts = np.unique(case["diagonal"].numpy(), return_counts=True)
            if case["steps"] >= len(values):
                width = case["width"] or (np.ptp(values) or abs(values[0])) / 100
                bells = stats.norm.pdf(found["grid"].numpy()[:, None], values, width)
                expected = torch.from_numpy(bells @ (counts / counts.sum()))
                assert torch.allclose(found["density"], expected, atol=1e-6)
