"""How the functions of lesson 04 are called: with settings made of numbers, a model made of tables, and gradients.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.sampling_config import SamplingConfig


def probe_apply_temperature(function: Function, logits: Tensor, temperature: float) -> Plain:
    """The logits."""
    return function(logits.clone(), temperature)


def probe_top_k_filter(function: Function, logits: Tensor, k: int) -> Plain:
    """The logits that are left."""
    return function(logits.clone(), k)


def probe_top_p_filter(function: Function, logits: Tensor, p: float) -> Plain:
    """The logits that are left."""
    return function(logits.clone(), p)


def probe_guide(function: Function, conditional: Tensor, unconditional: Tensor, scale: float) -> Plain:
    """The guided logits."""
    return function(conditional.clone(), unconditional.clone(), scale)


def probe_decode_step(
    function: Function,
    logits: Tensor,
    noise: Tensor,
    temperature: float,
    top_k: int | None,
    top_p: float,
    guidance: float,
) -> Plain:
    """The tokens; the settings are put together here."""
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance)
    return function(logits.clone(), noise.clone(), config)


@dataclass
class TableModel:
    """A model of two tables, which looks at all tokens so far, and longest at the newest.

    Attributes:
        start: its logits before any token, [V].
        after: a row [V] for each token; a token halves the logits so far and adds its row.
        shown: the shape of the tokens at each call, as text.
    """

    start: list[float]
    after: list[list[float]]
    shown: list[str] = field(default_factory=list, compare=False)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Tokens so far, long [B, t] → logits [B, V]."""
        self.shown.append(str(list(tokens.shape)))
        logits = torch.tensor(self.start, device=tokens.device).expand(len(tokens), -1)
        for column in tokens.T:
            logits = logits / 2 + torch.tensor(self.after, device=tokens.device)[column]
        return logits.clone()

    def __repr__(self) -> str:
        return f"a model: logits = {self.start}, then for each token so far, logits = logits / 2 + {self.after}[token]"


def probe_generate_tokens(
    function: Function, start: Tensor, after: Tensor, noise: Tensor, temperature: float, top_k: int | None, top_p: float
) -> Plain:
    """The tokens, and the shape of those that the model was shown, call by call."""
    model = TableModel(start.tolist(), after.tolist())
    tokens = function(model, noise.clone(), SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p))
    return {"tokens": tokens, "shapes that the model was shown": list(model.shown)}


def probe_rerank(function: Function, similarity: Tensor, keep: int) -> Plain:
    """The places of those that are kept."""
    return function(similarity.clone(), keep)


def probe_clip_loss(function: Function, image_vectors: Tensor, text_vectors: Tensor, scale: Tensor) -> Plain:
    """The loss, and its gradients with respect to the scale and to which way the vectors point.

    The part of a gradient along a vector is left out: it would change the length, which is 1 by definition. So it
    does not matter whether an answer makes the length 1 once more.
    """
    given = {"image_vectors": image_vectors, "text_vectors": text_vectors, "scale": scale}
    inputs = {name: tensor.clone().requires_grad_() for name, tensor in given.items()}
    loss = function(*inputs.values())
    if not (isinstance(loss, Tensor) and loss.numel() == 1):
        return {"loss": loss, "gradients": dict.fromkeys(inputs, "none, as the loss is no tensor of a single number")}
    found = {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss.sum(), list(inputs.values()), materialize_grads=True)
        found = dict(zip(inputs, gradients, strict=True))
    for name in ("image_vectors", "text_vectors"):
        found[name] = found[name] - (found[name] * given[name]).sum(1, keepdim=True) * given[name]
    return {"loss": loss.detach(), "gradients": dict(found)}
