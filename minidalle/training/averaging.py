"""Averages of the weights over the steps: a steadier model than the last step's, for the price of a copy."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class Average(Generic[Model]):
    """A copy of a model whose parameters follow the trained ones slowly; buffers are copied as they are.

    The decay starts low and rises to `decay`, so that the first, random weights are soon forgotten:
    after n updates it is min(decay, (1 + n) / (10 + n)).

    Args:
        model: what is trained.
        decay: in [0, 1); 0 follows at once.

    Attributes:
        model: the steady copy, in eval mode.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model, updates: int) -> None:
        """Move towards the trained weights; `updates` counts the earlier calls."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
        for steady, newest in zip(self.model.buffers(), model.buffers(), strict=True):
            steady.copy_(newest)


class SWA(Generic[Model]):
    """A copy of a model whose parameters are the plain mean of all it was shown; buffers are the newest ones.

    Weights 1, 2, 3, 4, 5 → 3. Show it the weights once per epoch or so, late in a training at a rate that does
    not fall much. Running statistics, if there are any, belong to the newest weights and not to the mean: run
    some training batches through the mean in train mode before it is used.

    Args:
        model: what is trained. Its weights now do not count: call `update`.

    Attributes:
        model: the mean, in eval mode; the model as it was until the first `update`.
        updates: how many weights the mean is of. Source: Izmailov et al. 2018.
    """

    def __init__(self, model: Model) -> None:
        self.updates = 0
        self.model: Model = deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take the trained weights as they are now into the mean."""
        self.updates += 1
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 / self.updates)
        for mean, newest in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(newest)
