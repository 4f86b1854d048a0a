"""How the last functions of lesson 05 are called: with a model that is made of numbers here, and with pictures."""

import torch
from torch import Tensor, nn

from minidalle.exercises.exercise import Function, Plain

Branch = dict[str, dict[str, Tensor]]


def probe_reparameterize(function: Function, branches: dict[str, Branch], alpha: float) -> Plain:
    """All weights of the copy by name, and whether the model that was given is as it was."""
    model = _model(branches)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    other = function(model, alpha)
    after = model.state_dict()
    kept = all(torch.equal(weight, after[name]) for name, weight in before.items())
    weights = {name: weight.clone() for name, weight in other.state_dict().items()}
    return {"weights of the copy": {**weights}, "the model that was given": "as it was" if kept else "changed"}


def probe_copy_test(function: Function, generated: Tensor, train: Tensor, heldout: Tensor) -> Plain:
    """The share, and the nearest training pictures."""
    share, nearest = function(*(pictures.clone().numpy() for pictures in (generated, train, heldout)))
    return {"share": float(share), "nearest": torch.as_tensor(nearest).double()}


def _model(branches: dict[str, Branch]) -> nn.ModuleDict:
    """Branches of linear layers, attention or not, from their weights."""
    return nn.ModuleDict(
        {
            name: nn.ModuleDict({part: _linear(**own) for part, own in branch.items()})
            for name, branch in branches.items()
        }
    )


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": weight.clone()} | ({} if bias is None else {"bias": bias.clone()}))
    return layer
