"""How the functions of lesson 05 that move weights are called. Every call gets tensors of its own."""

from typing import Any

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import data, learned


def probe_sam_perturbation(
    function: Function, params: list[Any], gradients: list[Any], rho: float, adaptive: bool
) -> Plain:
    """A tensor per parameter; the parameters ask for gradients, as a model's do."""
    found = function([learned(tensor) for tensor in params], [tensor.clone() for tensor in gradients], rho, adaptive)
    return [data(tensor) for tensor in found]


def probe_filter_normalize(function: Function, direction: list[Any], params: list[Any]) -> Plain:
    """A tensor per parameter; the parameters ask for gradients, as a model's do."""
    found = function([tensor.clone() for tensor in direction], [learned(tensor) for tensor in params])
    return [data(tensor) for tensor in found]
