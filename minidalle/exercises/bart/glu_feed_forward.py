"""Exercise: a feed-forward layer with a gate."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.bart.layers import glu_feed_forward
from minidalle.bart.primitives import linear, optional_norm
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart_layers import probe_glu_feed_forward
from minidalle.runtime import Weights, generator


def cases(seed: int) -> list[Case]:
    """One number through layers of one number; then biases, more features, a norm with all it has, and without."""
    chance = generator(seed, "bart.glu_feed_forward")

    def quarters(*shape: int) -> Tensor:
        """Numbers from −1 to 1 without 0."""
        size = torch.randint(1, 5, shape, generator=chance) / 4
        return size * (2.0 * torch.randint(2, shape, generator=chance) - 1)

    def case(tokens: tuple[int, ...], width: int, hidden: int, bias: bool, norm: tuple[str, ...] | None) -> Case:
        def layer(inputs: int, outputs: int) -> dict[str, Tensor]:
            return {"weight": quarters(outputs, inputs), **({"bias": quarters(outputs)} if bias else {})}

        weights: dict[str, Any] = {"gate": layer(width, hidden), "up": layer(width, hidden)}
        if norm is not None:
            weights["hidden"] = {name: quarters(hidden) for name in norm}
        weights["down"] = layer(hidden, width)
        return {"weights": weights, "x": (3 if norm is None else 1) * quarters(*tokens, width)}

    return [
        {**case((1, 1), 1, 1, False, None), "x": -2 * quarters(1, 1, 1).abs()},
        {**case((1, 1), 1, 1, False, None), "x": 2 * quarters(1, 1, 1).abs()},
        case((1, 2), 1, 2, True, None),
        case((1, 2), 2, 3, False, ("scale", "bias")),
        case((2, 3), 3, 4, True, ("bias",)),
        case((2, 4), 4, 6, False, None),
    ]


def _halves(weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    return linear(weights["gate"], x), linear(weights["up"], x)


def _end(weights: Weights, hidden: Tensor) -> Tensor:
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def multiplies_without_an_activation(weights: Weights, x: Tensor) -> Tensor:
    """The gate is bent by GELU before it is multiplied: `F.gelu`."""
    gate, up = _halves(weights, x)
    return _end(weights, gate * up)


def takes_the_sigmoid(weights: Weights, x: Tensor) -> Tensor:
    """That is the first GLU, of 2016. In this one, GEGLU, the gate goes through GELU: `F.gelu`."""
    gate, up = _halves(weights, x)
    return _end(weights, gate.sigmoid() * up)


def takes_silu(weights: Weights, x: Tensor) -> Tensor:
    """That is SwiGLU, which many language models have. In this one, GEGLU, the gate goes through GELU: `F.gelu`."""
    gate, up = _halves(weights, x)
    return _end(weights, F.silu(gate) * up)


def takes_relu(weights: Weights, x: Tensor) -> Tensor:
    """GELU looks like ReLU, but bends smoothly, and lets a little of what is below 0 through: `F.gelu`."""
    gate, up = _halves(weights, x)
    return _end(weights, F.relu(gate) * up)


def approximates_gelu(weights: Weights, x: Tensor) -> Tensor:
    """`approximate="tanh"` is a formula that is only near GELU. Leave it out: `F.gelu(x)` is exact, and as fast."""
    gate, up = _halves(weights, x)
    return _end(weights, F.gelu(gate, approximate="tanh") * up)


def activates_the_other_half(weights: Weights, x: Tensor) -> Tensor:
    """GELU is for the gate, and `up` stays as it is. You have them the other way round."""
    gate, up = _halves(weights, x)
    return _end(weights, gate * F.gelu(up))


def activates_both_halves(weights: Weights, x: Tensor) -> Tensor:
    """Only the gate goes through GELU. What it lets through, `up`, stays as it is."""
    gate, up = _halves(weights, x)
    return _end(weights, F.gelu(gate) * F.gelu(up))


def activates_the_product(weights: Weights, x: Tensor) -> Tensor:
    """GELU comes before the product, and only for the gate."""
    gate, up = _halves(weights, x)
    return _end(weights, F.gelu(gate * up))


def adds_the_halves(weights: Weights, x: Tensor) -> Tensor:
    """A gate that is 0 should let nothing through: multiply the two halves, feature by feature."""
    gate, up = _halves(weights, x)
    return _end(weights, F.gelu(gate) + up)


def forgets_the_gate(weights: Weights, x: Tensor) -> Tensor:
    """That is the plain layer, `gelu_feed_forward`. Here the hidden features are gelu(gate) · up."""
    _, up = _halves(weights, x)
    return _end(weights, F.gelu(up))


def forgets_the_other_half(weights: Weights, x: Tensor) -> Tensor:
    """The gate alone says how much goes on, but not of what: multiply it by what `up` makes of x."""
    gate, _ = _halves(weights, x)
    return _end(weights, F.gelu(gate))


def gates_the_tokens_that_came_in(weights: Weights, x: Tensor) -> Tensor:
    """Each half is made of x by its own layer: `up` takes x, and not what the gate gives."""
    gate = F.gelu(linear(weights["gate"], x))
    return _end(weights, gate * gate)


def forgets_the_norm(weights: Weights, x: Tensor) -> Tensor:
    """Before `down` the hidden features are normalized, if there is a norm for it: `optional_norm`."""
    gate, up = _halves(weights, x)
    return linear(weights["down"], F.gelu(gate) * up)


def normalizes_only_the_gate(weights: Weights, x: Tensor) -> Tensor:
    """The norm stands before `down`: it is for the product, not for one of its halves."""
    gate, up = _halves(weights, x)
    return linear(weights["down"], optional_norm(weights, "hidden", F.gelu(gate)) * up)


def normalizes_only_the_other_half(weights: Weights, x: Tensor) -> Tensor:
    """The norm stands before `down`: first the product, then the norm."""
    gate, up = _halves(weights, x)
    return linear(weights["down"], F.gelu(gate) * optional_norm(weights, "hidden", up))


def normalizes_before_it_activates(weights: Weights, x: Tensor) -> Tensor:
    """The norm stands before `down`, after GELU and product. You normalize what goes into GELU."""
    gate, up = _halves(weights, x)
    return linear(weights["down"], F.gelu(optional_norm(weights, "hidden", gate)) * up)


def forgets_the_biases(weights: Weights, x: Tensor) -> Tensor:
    """A linear layer may have a bias, too: `linear(weights["up"], x)` takes care of it."""
    gate, up = x @ weights["gate"]["weight"].mT, x @ weights["up"]["weight"].mT
    return optional_norm(weights, "hidden", F.gelu(gate) * up) @ weights["down"]["weight"].mT


def adds_what_came_in(weights: Weights, x: Tensor) -> Tensor:
    """This is only the branch. `join` adds it to the tokens, in the layer that it belongs to."""
    gate, up = _halves(weights, x)
    return x + _end(weights, F.gelu(gate) * up)


def stops_before_the_last_layer(weights: Weights, x: Tensor) -> Tensor:
    """The features have to be as many again as before: `down` makes D of them."""
    gate, up = _halves(weights, x)
    return optional_norm(weights, "hidden", F.gelu(gate) * up)


def by_the_functions_of_torch(weights: Weights, x: Tensor) -> Tensor:
    """Right: torch's own functions, which ask whether there is a bias and a norm."""
    gate, up = (F.linear(x, weights[name]["weight"], weights[name].get("bias")) for name in ("gate", "up"))
    hidden = torch.nn.GELU()(gate).mul(up)
    if "hidden" in weights:
        norm = weights["hidden"]
        hidden = F.layer_norm(hidden, hidden.shape[-1:], norm.get("scale"), norm.get("bias"))
    return F.linear(hidden, weights["down"]["weight"], weights["down"].get("bias"))


def cuts_one_matrix_in_two(weights: Weights, x: Tensor) -> Tensor:
    """Right: both halves by one product, and GELU by its formula."""
    both = torch.cat([weights["gate"]["weight"], weights["up"]["weight"]])
    gate, up = (x @ both.T).chunk(2, dim=-1)
    gate, up = gate + weights["gate"].get("bias", 0), up + weights["up"].get("bias", 0)
    bent = gate * (1 + torch.erf(gate / 2**0.5)) / 2
    return linear(weights["down"], optional_norm(weights, "hidden", bent * up))


def token_by_token(weights: Weights, x: Tensor) -> Tensor:
    """Right: no token has to do with another."""
    rows = []
    for token in x.flatten(0, 1):
        opened = F.gelu(linear(weights["gate"], token))
        rows.append(linear(weights["down"], optional_norm(weights, "hidden", linear(weights["up"], token) * opened)))
    return torch.stack(rows).view_as(x)


HINTS = (
    "Both halves are made of x, by a linear layer each. The gate goes through GELU and says for each hidden feature "
    "how much of the other half goes on.",
    "hidden = gelu(gate(x)) · up(x), multiplied feature by feature; then the norm `hidden`, if there is one; then "
    "`down`. GELU is `F.gelu`.",
    """\
def glu_feed_forward(weights, x):
    hidden = F.gelu(...) * ...
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))
""",
)

EXERCISE = Exercise(
    id="bart.glu_feed_forward",
    points=2,
    minutes=10,
    stars=1,
    reference=glu_feed_forward,
    cases=cases,
    wrong=(
        multiplies_without_an_activation,
        takes_the_sigmoid,
        takes_silu,
        takes_relu,
        approximates_gelu,
        activates_the_other_half,
        activates_both_halves,
        activates_the_product,
        adds_the_halves,
        forgets_the_gate,
        forgets_the_other_half,
        gates_the_tokens_that_came_in,
        forgets_the_norm,
        normalizes_only_the_gate,
        normalizes_only_the_other_half,
        normalizes_before_it_activates,
        forgets_the_biases,
        adds_what_came_in,
        stops_before_the_last_layer,
    ),
    also_right=(by_the_functions_of_torch, cuts_one_matrix_in_two, token_by_token),
    hints=HINTS,
    reaches="Bart.forward",
    probe=probe_glu_feed_forward,
    tolerance=3e-4,
)
