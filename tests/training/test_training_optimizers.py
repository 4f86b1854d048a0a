"""Schedule, optimizers and averaged weights, each against a closed form or torch's own."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from training_recipes import squares, tiny

from minidalle.bart import Bart
from minidalle.training.averaging import Average
from minidalle.training.config import StageConfig
from minidalle.training.distributed import Ranks
from minidalle.training.loop import Progress
from minidalle.training.optimizers import Optimizers
from minidalle.training.schedule import warmup_schedule
from minidalle.training.stages import train_bart, train_tokenizer, train_vqgan
from minidalle.vqgan import VQGAN

CONFIG = StageConfig(steps=12, batch_size=4, learning_rate=0.01, warmup=3, clip=1.0, weight_decay=0.1)
MUON_LEAVES = ("tokens", "positions", "head", "drafter")


def test_schedule_rises_stays_and_falls() -> None:
    linear = [warmup_schedule(n, steps=20, warmup=4, hold=0.5, decay="linear") for n in range(21)]
    assert linear == pytest.approx([0.25, 0.5, 0.75, 1] + [1] * 6 + [1 - k / 10 for k in range(11)])
    cosine = [warmup_schedule(n, steps=20, warmup=4, hold=0.5, decay="cosine") for n in range(21)]
    assert cosine == pytest.approx([*linear[:10], *((1 + math.cos(math.pi * k / 10)) / 2 for k in range(11))])


def test_schedule_without_parts() -> None:
    assert warmup_schedule(0, steps=10, warmup=0) == 1
    assert warmup_schedule(5, steps=10, warmup=0) == 0.5
    assert warmup_schedule(10, steps=10, warmup=0) == 0
    assert [warmup_schedule(n, steps=10, warmup=0, hold=1.0) for n in range(10)] == [1.0] * 10
    assert [warmup_schedule(n, steps=4, warmup=4) for n in range(4)] == [0.25, 0.5, 0.75, 1]
    assert warmup_schedule(5, steps=10, warmup=4, hold=0.1) == pytest.approx(
        5 / 6
    )  # the warmup is longer than the hold


def random_gradients(model: nn.Module, seed: int, scale: float = 1.0) -> None:
    chance = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter).copy_(scale * torch.randn(parameter.shape, generator=chance))


@pytest.mark.parametrize("clip", [0.5, math.inf])
def test_adamw_equals_torchs_own(clip: float) -> None:
    ours, torchs = (nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)) for _ in range(2))
    torchs.load_state_dict(ours.state_dict())
    optimizers = Optimizers(ours, replace(CONFIG, clip=clip), ())
    reference = torch.optim.AdamW(torchs.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.1, fused=False)
    for n in range(12):
        for model in (ours, torchs):
            random_gradients(model, n)
        norm = torch.cat([p.grad.flatten() for p in torchs.parameters() if p.grad is not None]).norm()
        assert optimizers.clip() == pytest.approx(norm.item(), rel=1e-5)
        for parameter in torchs.parameters():
            parameter.grad = None if parameter.grad is None else parameter.grad * min(1, clip / norm)
        rate = 0.01 * warmup_schedule(n, 12, 3, 0.0, "cosine")
        reference.param_groups[0]["lr"] = rate
        reference.step()
        assert optimizers.step(n) == pytest.approx(rate)
        assert all(parameter.grad is None for parameter in ours.parameters())
    for a, b in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=1e-6)


def test_muon_gets_the_hidden_matrices_and_nothing_else() -> None:
    bart = Bart(tiny().bart)
    names = {id(parameter): name for name, parameter in bart.named_parameters()}
    adamw, muon = Optimizers(bart, replace(CONFIG, optimizer="muon"), MUON_LEAVES).all
    assert isinstance(muon, torch.optim.Muon)
    hidden = [names[id(p)] for p in muon.param_groups[0]["params"]]
    rest = [names[id(p)] for p in adamw.param_groups[0]["params"]]
    assert sorted(hidden + rest) == sorted(names.values())
    assert all(".layers." in name and name.endswith("weight") for name in hidden)
    layers = [name for name, p in bart.named_parameters() if ".layers." in name and p.ndim == 2]
    assert sorted(hidden) == sorted(layers)
    for part in ("encoder.tokens", "decoder.head", "positions", "drafter"):
        assert any(part in name for name in rest)


def test_muon_equals_torchs_own() -> None:
    ours, torchs = (nn.Linear(6, 4, bias=False) for _ in range(2))
    torchs.load_state_dict(ours.state_dict())
    config = replace(CONFIG, optimizer="muon", muon_learning_rate=0.05, clip=math.inf, warmup=0, hold=1.0)
    optimizers = Optimizers(nn.ModuleList([ours, nn.LayerNorm(2)]), config, ())
    reference = torch.optim.Muon(torchs.parameters(), lr=0.05, weight_decay=0.1)
    for n in range(5):
        random_gradients(ours, n)
        random_gradients(torchs, n)
        optimizers.step(n)
        reference.step()
    assert torch.equal(ours.weight, torchs.weight)


def conv() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Conv2d(4, 3, 1))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("build", [conv, lambda: Bart(tiny().bart), lambda: VQGAN(tiny().vqgan)])
def test_a_restored_optimizer_goes_on_to_the_last_bit(build, optimizer: str) -> None:  # type: ignore[no-untyped-def]
    """Also where the weights lie channels-last in memory and their state was saved row by row."""
    config = replace(CONFIG, optimizer=optimizer)
    torch.manual_seed(0)
    straight = build()
    torch.manual_seed(0)
    resumed = build()
    whole = Optimizers(straight, config, MUON_LEAVES)
    for n in range(6):
        random_gradients(straight, n)
        whole.clip()
        whole.step(n)
        if n == 2:
            saved = {name: value.clone().contiguous() for name, value in whole.tensors().items()}
            resumed.load_state_dict(straight.state_dict())
    rest = Optimizers(resumed, config, MUON_LEAVES)
    rest.restore(saved)
    for n in range(3, 6):
        random_gradients(resumed, n)
        rest.clip()
        rest.step(n)
    for (name, a), b in zip(straight.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert whole.tensors().keys() == rest.tensors().keys()
    assert all(torch.equal(value, rest.tensors()[name]) for name, value in whole.tensors().items())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_restored_optimizer_keeps_nothing_of_what_it_read(optimizer: str) -> None:
    """That may lie in a mapped file, which would live as long as the training."""
    model = Bart(tiny().bart)
    optimizers = Optimizers(model, replace(CONFIG, optimizer=optimizer), MUON_LEAVES)
    random_gradients(model, 0)
    optimizers.step(0)
    read = {name: value.clone() for name, value in optimizers.tensors().items()}
    optimizers.restore(read)
    places = {value.data_ptr() for value in read.values()}
    assert [name for name, value in optimizers.tensors().items() if value.data_ptr() in places] == []


def test_weights_that_have_had_no_gradient_yet_are_restored_too() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    optimizers = Optimizers(model, CONFIG, ())
    random_gradients(model[0], 0)
    optimizers.step(0)
    saved = optimizers.tensors()
    assert {name.split("/")[1] for name in saved} == {"0", "1"}
    again = Optimizers(model, CONFIG, ())
    again.restore(saved)
    random_gradients(model, 1)
    again.step(1)
    steps = {name: value.item() for name, value in again.tensors().items() if name.endswith("step")}
    assert list(steps.values()) == [2, 2, 1, 1]


def test_average_equals_a_loop_in_float64() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    average = Average(model, decay=0.9)
    assert not average.model.training
    assert model.training
    expected = [parameter.detach().double() for parameter in model.parameters()]
    for n in range(60):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
            model[1].running_mean += 1
        average.update(model, n)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = [decay * e + (1 - decay) * p.double() for e, p in zip(expected, model.parameters(), strict=True)]
        for got, want in zip(average.model.parameters(), expected, strict=True):
            torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-6)
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_no_average_is_the_model_itself() -> None:
    model = nn.Linear(4, 3)
    average = Average(model, decay=0.0)
    with torch.no_grad():
        model.weight += torch.randn(3, 4)
    average.update(model, 0)
    assert torch.equal(average.model.weight, model.weight)


class Stop(Exception):
    """Ends a training in the middle of it."""


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_bart_that_was_interrupted_anywhere_is_the_same(tmp_path: Path, optimizer: str) -> None:
    """In one process, so at several steps: before and after the draft's own steps, and at a checkpoint."""
    settings = replace(tiny().training.bart, steps=24, optimizer=optimizer, draft_steps=6, checkpoint_every=4)
    training = replace(tiny().training, bart=settings, vqgan=replace(tiny().training.vqgan, steps=22))
    source = partial(squares, 16)

    def stop_at(step: int, progress: Progress) -> None:
        if progress.step == step:
            raise Stop

    for name, stops in (("straight", ()), ("stopped", (3, 5, 7, 8, 13, 23))):
        train_tokenizer(tmp_path / name, tiny().tokenizer, source)
        train_vqgan(Ranks(), tmp_path / name, tiny().vqgan, training, source, "cpu")
        for step in stops:
            with pytest.raises(Stop):
                train_bart(Ranks(), tmp_path / name, tiny().bart, training, source, "cpu", partial(stop_at, step))
        train_bart(Ranks(), tmp_path / name, tiny().bart, training, source, "cpu")
    files = [tmp_path / name / "bart.safetensors" for name in ("straight", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()
