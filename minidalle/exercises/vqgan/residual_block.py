"""Exercise: the block that encoder and decoder are stacked from."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_losses import probe_residual_block
from minidalle.runtime import Weights, generator
from minidalle.vqgan.blocks import convolve, normalize, residual_block


def cases(seed: int) -> list[Case]:
    """One number through convolutions of one number; then pixels, norms, shortcuts.

    No case has both norms and a shortcut, and only one channel goes through a shortcut: so norms that are mixed up,
    and a shortcut that is forgotten, make wrong values and no crash.
    """
    chance = generator(seed, "vqgan.residual_block")

    def around(middle: float, *shape: int) -> Tensor:
        return middle + 0.5 * torch.randn(*shape, generator=chance)

    def layers(inputs: int, outputs: int, norms: bool) -> dict[str, Any]:
        def conv(wide: int, size: int) -> dict[str, Tensor]:
            weight = torch.randn(outputs, wide, size, size, generator=chance) * (wide * size**2) ** -0.5
            return {"weight": weight, "bias": around(0.5, outputs)}

        weights: dict[str, Any] = {}
        for number, wide in ((1, inputs), (2, outputs)):
            if norms:
                weights[f"norm{number}"] = {"weight": around(1.5, wide), "bias": around(-1, wide)}
            weights[f"conv{number}"] = conv(wide, 3)
        return weights if inputs == outputs else {**weights, "nin_shortcut": conv(inputs, 1)}

    def one(number: float) -> dict[str, Any]:
        return {"weight": torch.full((1, 1, 1, 1), number), "bias": torch.zeros(1)}

    first, second = (torch.randint(3, 6, (2,), generator=chance) / 2).tolist()
    return [
        {"weights": {"conv1": one(first), "conv2": one(second)}, "x": around(1.5, 1, 1, 1, 1), "groups": 1},
        {"weights": layers(1, 1, norms=False), "x": around(0, 1, 1, 2, 3) * 2, "groups": 1},
        {"weights": layers(2, 2, norms=True), "x": around(1, 1, 2, 3, 3) * 2, "groups": 1},
        {"weights": layers(1, 3, norms=False), "x": around(0, 1, 1, 3, 2) * 2, "groups": 1},
        {"weights": layers(4, 4, norms=True), "x": around(1, 2, 4, 4, 6) * 2, "groups": 2},
        {"weights": layers(6, 6, norms=True), "x": around(-1, 3, 6, 4, 4) * 2, "groups": 3},
        {"weights": layers(1, 4, norms=False), "x": around(-1, 3, 1, 4, 4) * 2, "groups": 2},
    ]


def _in(weights: Weights, x: Tensor) -> Tensor:
    return convolve(weights["nin_shortcut"], x) if "nin_shortcut" in weights else x


def _round(weights: Weights, number: int, x: Tensor, groups: int) -> Tensor:
    return convolve(weights[f"conv{number}"], F.silu(normalize(weights, f"norm{number}", x, groups)))


def _rounds(weights: Weights, x: Tensor, groups: int) -> Tensor:
    return _round(weights, 2, _round(weights, 1, x, groups), groups)


def adds_nothing_at_the_end(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """The rounds only say what to change: the output is what came in plus what the two rounds made of it."""
    return _rounds(weights, x, groups)


def activates_after_the_convolution(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """A round is normalization, SiLU, convolution, in this order: the convolution is the last."""
    hidden = F.silu(convolve(weights["conv1"], normalize(weights, "norm1", x, groups)))
    hidden = F.silu(convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups)))
    return _in(weights, x) + hidden


def activates_as_the_first_residual_networks_did(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """There the SiLU came after the convolution and after the sum. Here it comes before each of the convolutions."""
    hidden = F.silu(convolve(weights["conv1"], normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups))
    return F.silu(_in(weights, x) + hidden)


def activates_only_between_the_convolutions(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """A round is normalization, SiLU, convolution: there is a SiLU right before each of the two convolutions."""
    hidden = F.silu(convolve(weights["conv1"], normalize(weights, "norm1", x, groups)))
    return _in(weights, x) + convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups))


def convolves_first(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """A round is normalization, SiLU, convolution, in this order. Yours begins with the convolution."""
    hidden = F.silu(normalize(weights, "norm1", convolve(weights["conv1"], x), groups))
    hidden = F.silu(normalize(weights, "norm2", convolve(weights["conv2"], hidden), groups))
    return _in(weights, x) + hidden


def is_the_block_of_the_first_residual_networks(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """There: convolution, normalization, activation, and the last one after the sum. Here a round ends with the
    convolution."""
    hidden = F.silu(normalize(weights, "norm1", convolve(weights["conv1"], x), groups))
    hidden = normalize(weights, "norm2", convolve(weights["conv2"], hidden), groups)
    return F.silu(_in(weights, x) + hidden)


def activates_before_it_normalizes(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """A round is normalization, SiLU, convolution, in this order: normalize first."""
    hidden = convolve(weights["conv1"], normalize(weights, "norm1", F.silu(x), groups))
    hidden = convolve(weights["conv2"], normalize(weights, "norm2", F.silu(hidden), groups))
    return _in(weights, x) + hidden


def activates_the_sum(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Nothing comes after the sum, so that what came in can pass the block unchanged."""
    return F.silu(_in(weights, x) + _rounds(weights, x, groups))


def adds_what_was_normalized(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Add x as it came in, before normalization and SiLU: keep it, and give what you make of it another name."""
    x = F.silu(normalize(weights, "norm1", x, groups))
    hidden = _round(weights, 2, convolve(weights["conv1"], x), groups)
    return _in(weights, x) + hidden


def adds_the_first_round_too(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """There is one sum in a block, at its end: what came in, plus what the second round made of the first."""
    hidden = _in(weights, x) + _round(weights, 1, x, groups)
    return hidden + _round(weights, 2, hidden, groups)


def stops_after_one_round(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """There are two rounds: the second, with norm2 and conv2, takes what the first gives."""
    return _in(weights, x) + _round(weights, 1, x, groups)


def leaves_out_the_normalization(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Both rounds begin with `normalize`, by norm1 and by norm2; it does nothing where these are not there."""
    return _in(weights, x) + _rounds({key: weights[key] for key in weights if "norm" not in key}, x, groups)


def normalizes_only_once(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Both rounds begin with `normalize`: the second one, too, by norm2."""
    hidden = _round(weights, 1, x, groups)
    return _in(weights, x) + convolve(weights["conv2"], F.silu(hidden))


def normalizes_twice_by_norm1(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """The second round has weights of its own: norm2 and conv2."""
    both = {**weights, "norm2": weights["norm1"]} if "norm1" in weights else weights
    return _in(weights, x) + _rounds(both, x, groups)


def convolves_twice_by_conv1(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """The second round has weights of its own: norm2 and conv2."""
    return _in(weights, x) + _rounds({**weights, "conv2": weights["conv1"]}, x, groups)


def activates_only_once(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Each of the two rounds has a SiLU before its convolution. Yours has it in the first round only."""
    hidden = _round(weights, 1, x, groups)
    return _in(weights, x) + convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups))


def takes_the_sigmoid(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """SiLU is x · sigmoid(x), not the sigmoid alone: `F.silu`."""
    hidden = convolve(weights["conv1"], normalize(weights, "norm1", x, groups).sigmoid())
    hidden = convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups).sigmoid())
    return _in(weights, x) + hidden


def takes_relu(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """This block's activation is SiLU, `F.silu`, which lets a little of what is below 0 through."""
    hidden = convolve(weights["conv1"], F.relu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.relu(normalize(weights, "norm2", hidden, groups)))
    return _in(weights, x) + hidden


def normalizes_all_channels_together(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """The channels fall into `groups` groups, and each is normalized alone: hand `groups` on to `normalize`."""
    return _in(weights, x) + _rounds(weights, x, 1)


def forgets_the_shortcut(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Where the block changes the channels, x has too few to be added. Then send it through nin_shortcut first."""
    return x + _rounds(weights, x, groups)


def adds_x_beside_the_shortcut(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """nin_shortcut(x) takes the place of x, where there is one: only one of the two is added."""
    return _in(weights, x) + _rounds(weights, x, groups) + (x if "nin_shortcut" in weights else 0)


def by_the_functions_of_torch(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Right: a loop over the rounds, with torch's own functions, which ask whether there are norms."""
    hidden = x
    for number in "12":
        if f"norm{number}" in weights:
            norm = weights[f"norm{number}"]
            hidden = F.group_norm(hidden, groups, norm["weight"], norm["bias"], eps=1e-6)
        kernel, bias = weights[f"conv{number}"]["weight"], weights[f"conv{number}"]["bias"]
        hidden = F.conv2d(hidden * hidden.sigmoid(), kernel, bias, padding="same")
    shortcut = weights.get("nin_shortcut")
    return hidden + (F.conv2d(x, shortcut["weight"], shortcut["bias"]) if shortcut else x)


def keeps_what_came_in_first(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Right: first what is added, then the rounds."""
    kept = convolve(weights["nin_shortcut"], x) if "nin_shortcut" in weights else x.clone()
    x = normalize(weights, "norm1", x, groups)
    x = convolve(weights["conv1"], F.silu(x))
    x = normalize(weights, "norm2", x, groups)
    return convolve(weights["conv2"], F.silu(x)).add(kept)


def multiplies_by_the_shortcut(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Right: a 1 × 1 convolution is a matrix that every pixel's channels are multiplied by."""
    changed = _rounds(weights, x, groups)
    if changed.shape[1] == x.shape[1] and "nin_shortcut" not in weights:
        return torch.add(changed, x)
    matrix, bias = weights["nin_shortcut"]["weight"][:, :, 0, 0], weights["nin_shortcut"]["bias"]
    return changed + torch.einsum("oi,bihw->bohw", matrix, x) + bias[:, None, None]


HINTS = (
    "Two roads lead to the sum. On one, x goes through both rounds; on the other it stays as it is, or only has its "
    "channels changed.",
    "hidden = conv1(silu(norm1(x))), then hidden = conv2(silu(norm2(hidden))), and the output is x + hidden. If "
    '"nin_shortcut" is among the weights, it is nin_shortcut(x) + hidden.',
    """\
def residual_block(weights, x, groups=32):
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = ...
    if "nin_shortcut" in weights:
        x = ...
    return ...
""",
)

EXERCISE = Exercise(
    id="vqgan.residual_block",
    points=3,
    minutes=15,
    stars=2,
    reference=residual_block,
    cases=cases,
    wrong=(
        adds_nothing_at_the_end,
        activates_after_the_convolution,
        activates_as_the_first_residual_networks_did,
        activates_only_between_the_convolutions,
        convolves_first,
        is_the_block_of_the_first_residual_networks,
        activates_before_it_normalizes,
        activates_the_sum,
        adds_what_was_normalized,
        adds_the_first_round_too,
        stops_after_one_round,
        leaves_out_the_normalization,
        normalizes_only_once,
        normalizes_twice_by_norm1,
        convolves_twice_by_conv1,
        activates_only_once,
        takes_the_sigmoid,
        takes_relu,
        normalizes_all_channels_together,
        forgets_the_shortcut,
        adds_x_beside_the_shortcut,
    ),
    also_right=(by_the_functions_of_torch, keeps_what_came_in_first, multiplies_by_the_shortcut),
    hints=HINTS,
    reaches="VQGAN.encode",
    forbid=("ResidualBlock",),
    probe=probe_residual_block,
    tolerance=0.05,
)
