"""How the last functions of lesson 05 are called: with a model that is made of numbers here, and with pictures."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.exercises.exercise import Function, Plain

Branch = dict[str, dict[str, Tensor]]


def probe_reparameterize(
    function: Function, branches: dict[str, Branch], alpha: float, layers: list[str] | None
) -> Plain:
    """All weights of the copy by name, how far its outputs are off, and whether the given model is as it was."""
    model = _model(branches)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    outputs = _outputs(model)
    other = function(model, alpha, None if layers is None else [*layers])
    after = model.state_dict()
    kept = all(torch.equal(weight, after[name]) for name, weight in before.items())
    weights = {name: weight.clone() for name, weight in other.state_dict().items()}
    return {
        "weights of the copy": {**weights},
        "largest change of an output": round((_outputs(other) - outputs).abs().max().item(), 3),
        "the model that was given": "as it was" if kept else "changed",
    }


def probe_copy_test(function: Function, generated: Tensor, train: Tensor, heldout: Tensor) -> Plain:
    """The share, and the nearest training pictures."""
    share, nearest = function(*(pictures.clone().cpu().numpy() for pictures in (generated, train, heldout)))
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
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device=weight.device)
    layer.load_state_dict({"weight": weight.clone()} | ({} if bias is None else {"bias": bias.clone()}))
    return layer


@torch.no_grad()
def _outputs(model: nn.Module) -> Tensor:
    """What each attention branch makes of three tokens, one after the other."""
    found = []
    for branch in model.children():
        if isinstance(branch, nn.ModuleDict) and "query" in branch:
            asking: Any = branch["query"]
            tokens = torch.linspace(-1, 1, 3 * asking.in_features).view(1, 3, -1).to(asking.weight.device)
            query, key, value = (branch[part](tokens) for part in ("query", "key", "value"))
            found.append(branch["output"](F.scaled_dot_product_attention(query, key, value)).flatten())
    return torch.cat(found)
