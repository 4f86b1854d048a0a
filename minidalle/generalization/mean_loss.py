"""A loss over many batches as one function of the weights: its value, its gradient, its Hessian times a vector."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from minidalle.bart import Bart, sequence_loss, shift_right
from minidalle.data.tokens import TokenizedPictures
from minidalle.errors import require
from minidalle.generalization.hessian import check_loss, check_params, count, flatten, hvp, unflatten

Batch = tuple[Callable[[], Tensor], int]
"""What gives the sum of a batch's token losses, a scalar, and how many tokens there are."""


@dataclass(frozen=True)
class MeanLoss:
    """The mean over all tokens of all batches: Σ sums / Σ tokens, so that a short last batch counts for little.

    With 100 tokens of loss 0.5 and 10 of loss 2.2 it is 0.655; the mean of the batches' means would be 1.35.
    Meanwhile the model is in eval mode, and afterwards each part of it as it was.

    Attributes:
        batches: computed anew whenever they are needed, one after the other.
        params: the weights that it is a function of, each listed once.
        model: what they belong to; None if there is no mode to choose.

    Raises:
        InvalidValue: there is no batch, one has no tokens, or the parameters are what `hvp` refuses.
    """

    batches: Sequence[Batch]
    params: Sequence[Tensor]
    model: nn.Module | None = None

    def __post_init__(self) -> None:
        sizes = [tokens for _, tokens in self.batches]
        require(len(sizes) > 0 and min(sizes) > 0, "batches", sizes, "one or more, each with a token or more")
        check_params(self.params)

    @property
    def dim(self) -> int:
        """P, the numbers in `params`."""
        return count(self.params)

    @property
    def tokens(self) -> int:
        """How many tokens the mean is over."""
        return sum(tokens for _, tokens in self.batches)

    def value(self) -> float:
        """The loss at the weights as they are now; it must be finite."""
        with evaluating(self.model), torch.no_grad():
            total = sum(loss_sum().item() for loss_sum, _ in self.batches)
        require(math.isfinite(total), "loss", total, "a finite number")
        return total / self.tokens

    def gradient(self) -> list[Tensor]:
        """The loss's gradient: a tensor per parameter, zeros where the loss does not use it."""
        total = torch.zeros(self.dim, dtype=torch.float64)
        with evaluating(self.model), torch.enable_grad():
            for loss_sum, _ in self.batches:
                loss = loss_sum()
                check_loss(loss)
                total += flatten(torch.autograd.grad(loss, self.params, materialize_grads=True)).cpu()
        return unflatten((total / self.tokens).to(self.params[0]), self.params)

    def product(self, v: Tensor) -> Tensor:
        """The loss's Hessian times a vector, [P] → [P]; see `hvp`."""
        total, there = torch.zeros_like(v), v.to(self.params[0])
        with evaluating(self.model):
            for loss_sum, _ in self.batches:
                product = hvp(loss_sum, self.params, there)
                total += product.to(v.device)  # first there, then float64: not every GPU has that
        return total / self.tokens


def bart_loss(bart: Bart, tokens: TokenizedPictures, rows: np.ndarray, batch_size: int = 32) -> MeanLoss:
    """How surprised a BART is by some pictures, in nats per token, as a function of all its weights.

    Rows with captions of like length share a batch, so that little of it is padding.

    Args:
        bart: whose weights.
        tokens: the data set.
        rows: int64 [M], which of its rows.
        batch_size: how many at a time; it changes time and memory, and nothing else.
    """
    require(batch_size >= 1, "batch_size", batch_size, "1 or more")
    chosen = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    chosen = chosen[tokens.text_mask[chosen].sum(1).argsort(stable=True)]
    parts = chosen.split(batch_size) if len(chosen) else ()
    batches = [(partial(nll_sum, bart, tokens, part), tokens.image[part].numel()) for part in parts]
    return MeanLoss(batches, list(bart.parameters()), bart)


def nll_sum(bart: Bart, tokens: TokenizedPictures, rows: Tensor) -> Tensor:
    """The negative log-likelihood of all image tokens of some rows, long [B]: a scalar, in nats."""
    device = next(bart.parameters()).device
    mask = tokens.text_mask[rows]
    longest = int(mask.sum(1).max())
    text, mask, image = (x.to(device) for x in (tokens.text[rows, :longest], mask[:, :longest], tokens.image[rows]))
    logits = bart(text, mask, shift_right(image, bart.config.start_token))
    return sequence_loss(logits, image) * image.numel()


@contextmanager
def evaluating(model: nn.Module | None) -> Iterator[None]:
    """A model in eval mode; afterwards each of its modules is in the mode that it was in."""
    modules = [] if model is None else list(model.modules())
    modes = [module.training for module in modules]
    try:
        if model is not None:
            model.eval()
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
