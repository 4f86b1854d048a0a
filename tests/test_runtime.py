"""Streams of randomness, devices, precision, and a module's weights as nested dicts."""

import numpy as np
import pytest
import torch
from torch import nn

from minidalle.errors import InvalidValue
from minidalle.runtime import autocast, generator, numpy_generator, pick_device, stream_seed, weights_of


def test_a_stream_is_the_same_whenever_and_wherever_it_is_asked_for() -> None:
    assert stream_seed(0, "dropout", 17) == 4185867575785682812  # whatever the machine and the process
    assert torch.equal(torch.rand(5, generator=generator(3, "a", 1)), torch.rand(5, generator=generator(3, "a", 1)))
    assert (numpy_generator(3, "a").random(5) == numpy_generator(3, "a").random(5)).all()


def test_streams_differ_in_every_part_of_their_name() -> None:
    names = [(0,), (1,), (10,), (0, "a"), (0, "b"), (1, 0), (0, 1, "a"), (0, "a/1")]
    names += [(0, "a", 1), (0, "a", "1"), (0, "a", 11), (0, "a1", 1), (0, "a", 1, 1)]
    seeds = {stream_seed(*name) for name in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("three", [np.int64(3), np.uint8(3), torch.tensor(3), np.array([3])[0]])
def test_a_whole_number_of_any_type_is_the_same_number(three: int) -> None:
    assert stream_seed(three, "a", 3) == stream_seed(3, "a", three) == stream_seed(3, np.str_("a"), 3)


@pytest.mark.parametrize("three", [3.0, torch.tensor(3.0), None, np.float64(3)])
def test_what_is_no_whole_number_is_no_seed(three: int) -> None:
    with pytest.raises(InvalidValue, match=r"^seed=.*: expected a whole number$"):
        generator(three, "a")
    with pytest.raises(InvalidValue, match=r"^stream=.*: expected a whole number$"):
        numpy_generator(3, "a", three)
    with pytest.raises(InvalidValue, match=r"^seed='3': expected a whole number$"):
        generator("3")  # type: ignore[arg-type]


def test_a_stream_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the legacy one is what is watched)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch.rand(3, generator=generator(1))
    numpy_generator(1).random()
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_neighboring_streams_are_not_correlated() -> None:
    draws = torch.stack([torch.rand(2000, generator=generator(0, "step", n)) for n in range(20)])
    off_diagonal = torch.corrcoef(draws) - torch.eye(20)
    assert off_diagonal.abs().max() < 0.1


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InvalidValue, match="device='tpu': expected auto or one of cpu"):
        pick_device("tpu")


@pytest.mark.parametrize(("built", "why"), [(False, "is built without CUDA"), (True, "has CUDA, but sees no GPU")])
def test_why_there_is_no_cuda(built: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    why = rf"expected auto or one of cpu.* \(torch 2\S* {why}\)$"
    for name in ("cuda", "cuda:1"):
        with pytest.raises(InvalidValue, match=f"device='{name}': {why}"):
            pick_device(name)


def test_precision() -> None:
    a = torch.ones(2, 2)
    with autocast(torch.device("cpu"), "bf16"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), "fp32"):
        assert (a @ a).dtype == torch.float32
    with pytest.raises(InvalidValue, match="precision='fp16': expected one of fp32, bf16"):
        autocast(torch.device("cpu"), "fp16")


def test_weights_are_the_modules_own_tensors_by_name() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 3, bias=False)
            self.register_buffer("counts", torch.zeros(4))
            self.register_buffer("nothing", None)
            self.layers = nn.ModuleList([nn.Linear(2, 2)])

    part = Part()
    weights = weights_of(part)
    assert weights.keys() == {"linear", "counts", "layers"}
    assert weights["linear"].keys() == {"weight"}
    assert weights["linear"]["weight"] is part.linear.weight
    assert weights["counts"] is part.counts
    assert weights["layers"]["0"]["bias"] is part.layers[0].bias
