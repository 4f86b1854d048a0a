"""The optimizers of a stage: AdamW for everything, or Muon for the matrices and AdamW for the rest."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minidalle.training.config import StageConfig
from minidalle.training.schedule import warmup_schedule
from minidalle.training.sharding import split_like, whole


class Optimizers:
    """One or two optimizers that move as one: a schedule, clipping, one state.

    Muon (Jordan 2024) orthogonalises the update of a matrix. It is for the hidden ones: embeddings, codebooks and
    the output head stay with AdamW (Loshchilov & Hutter 2019), and so do biases, norms and convolutions.

    Args:
        module: whose parameters are trained.
        config: rates, schedule and clipping.
        elsewhere: parts of the names of matrices that are not hidden ones.
    """

    def __init__(self, module: nn.Module, config: StageConfig, elsewhere: tuple[str, ...]) -> None:
        self.config = config
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        matrices = {
            id(p)
            for name, p in module.named_parameters()
            if config.optimizer == "muon" and p.ndim == 2 and not any(part in name for part in elsewhere)
        }
        rest = [p for p in self.parameters if id(p) not in matrices]
        decay = config.weight_decay
        self.all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(rest, lr=config.learning_rate, betas=config.betas, weight_decay=decay, fused=True)
        ]
        if matrices:
            hidden = [p for p in self.parameters if id(p) in matrices]
            self.all.append(torch.optim.Muon(hidden, lr=config.muon_learning_rate, weight_decay=decay))
        self._peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.all]

    def clip(self) -> Tensor:
        """Scale the gradients down to the longest allowed norm; returns the norm before that, a scalar."""
        return whole(nn.utils.clip_grad_norm_(self.parameters, self.config.clip))

    def step(self, n: int) -> float:
        """Take step `n` at its scheduled rate and clear the gradients; returns the first optimizer's rate."""
        share = warmup_schedule(n, self.config.steps, self.config.warmup, self.config.hold, self.config.decay)
        for optimizer, peak in zip(self.all, self._peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return self._peaks[0] * share

    def tensors(self) -> dict[str, Tensor]:
        """The state as flat tensors: `optimizer/parameter/name`."""
        return {
            f"{k}/{i}/{name}": value
            for k, optimizer in enumerate(self.all)
            for i, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for k, optimizer in enumerate(self.all):
            state: dict[int, dict[str, Tensor]] = {}
            parameters = optimizer.param_groups[0]["params"]
            for key, value in _below(tensors, f"{k}/"):
                index, name = key.split("/")
                state.setdefault(int(index), {})[name] = _laid_out_like(parameters[int(index)], value)
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of a state in its parameter's memory format: the fused AdamW pairs numbers by their place in memory.

    A copy, since what was read may lie in a mapped file, which could not be deleted while it is used.
    """
    if value.shape != parameter.shape:
        return value.clone()  # a count of steps
    return torch.empty_like(parameter).copy_(split_like(parameter, value))


def _below(tensors: dict[str, Tensor], prefix: str) -> Iterable[tuple[str, Tensor]]:
    return ((key.removeprefix(prefix), value) for key, value in tensors.items() if key.startswith(prefix))
