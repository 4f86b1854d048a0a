"""Averages of weights, in closed form."""

import pytest
import torch
from torch import nn

from minidalle.training.averaging import SWA, Average


def at(value: float) -> nn.Sequential:
    """A model all of whose weights, and running means, are this."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    with torch.no_grad():
        for tensor in [*model.parameters(), model[1].running_mean]:
            tensor.fill_(value)
    return model


def test_an_exponential_average_of_1_to_5() -> None:
    """1, then .9 of the old and .1 of the new: 1.1, 1.29, 1.561, 1.9049."""
    average = Average(at(1.0), decay=0.9)
    for value in (2.0, 3.0, 4.0, 5.0):
        average.update(at(value), updates=1000)  # past the warm-up of the decay
    assert all(torch.allclose(p, torch.tensor(1.9049).double(), rtol=1e-7) for p in average.model.parameters())
    assert average.model[1].running_mean.tolist() == [5, 5, 5]  # buffers are the newest: a codebook's sums are no mean


@pytest.mark.parametrize(("updates", "decay"), [(0, 0.1), (2, 0.25), (8, 0.5), (80, 0.9), (1000, 0.9)])
def test_the_first_weights_are_soon_forgotten(updates: int, decay: float) -> None:
    average = Average(at(1.0), decay=0.9)
    average.update(at(2.0), updates)
    assert average.model[0].weight.flatten().tolist() == pytest.approx([2 - decay] * 6)


def test_the_mean_of_1_to_5() -> None:
    swa = SWA(at(77.0))
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        swa.update(at(value))
    assert swa.updates == 5
    assert all(torch.allclose(p, torch.tensor(3.0).double(), rtol=1e-15) for p in swa.model.parameters())


def test_mean_and_buffers_are_those_of_torch() -> None:
    chance, model = torch.Generator().manual_seed(0), at(0.0)
    swa, theirs = SWA(model), torch.optim.swa_utils.AveragedModel(model)
    for step in range(7):
        with torch.no_grad():
            for param in model.parameters():
                param.copy_(torch.randn(param.shape, generator=chance))
            model[1].running_mean.fill_(step)
        swa.update(model)
        theirs.update_parameters(model)
    torch.testing.assert_close(list(swa.model.parameters()), list(theirs.module.parameters()), rtol=1e-12, atol=1e-14)
    assert swa.model[1].running_mean.tolist() == [6, 6, 6]


@pytest.mark.parametrize("kind", [SWA, lambda model: Average(model, 0.9)])
def test_an_average_is_a_model_of_its_own(kind: type) -> None:
    model = at(1.0)
    average = kind(model)
    assert not average.model.training
    assert model.training
    assert not any(param.requires_grad for param in average.model.parameters())
    assert all(param.requires_grad for param in model.parameters())
    with torch.no_grad():
        model[0].weight.fill_(9)
    assert (average.model[0].weight == 1).all()
