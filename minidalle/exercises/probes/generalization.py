"""How the functions of lesson 05 are called. Results that are tuples get a name for each of their parts.

Every call gets values of its own, so an answer that changes them spoils no other call.
"""

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_token_nll(function: Function, logits: Tensor, targets: Tensor, mask: Tensor) -> Plain:
    """The mean, its standard error and each image's mean, of a named tuple or another one."""
    mean, se, per_image = function(logits.clone(), targets.clone(), mask.clone())
    return {"mean": mean, "se": se, "per_image": per_image}


def probe_hold_out_groups(function: Function, groups: list[str], share: float, seed: int) -> Plain:
    """For each row whether it is held out."""
    return function([*groups], share, seed)


def probe_loss_gap(
    function: Function, seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor
) -> Plain:
    """The gap and its standard error, of a named tuple or another one."""
    gap, se = function(seen.clone(), unseen.clone(), seen_groups.clone(), unseen_groups.clone())
    return {"gap": gap, "se": se}
