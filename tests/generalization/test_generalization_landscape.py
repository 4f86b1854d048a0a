"""Directions, surfaces and barriers against closed forms, and against the faults of another tool."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from minidalle.bart import Bart, BartConfig, sequence_loss
from minidalle.errors import InvalidValue
from minidalle.generalization.landscape import (
    barrier,
    centered_grid,
    filter_normalize,
    interpolate,
    loss_at,
    loss_surface,
    random_direction,
    random_plane,
)

Network = tuple[list[Tensor], Callable[[list[Tensor]], Tensor]]


def network(hidden: int = 6) -> Network:
    """A ReLU network 4 → hidden → 3, float64: its weights, and the loss on its own answers as a function of them."""
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 4, generator=chance, dtype=torch.float64)
    shapes = ((hidden, 4), (hidden,), (3, hidden), (3,))
    weights = [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]

    def logits(w: list[Tensor]) -> Tensor:
        return F.relu(inputs @ w[0].T + w[1]) @ w[2].T + w[3]

    targets = logits(weights).argmax(1)
    return weights, lambda w: F.cross_entropy(logits(w), targets)


def surface(weights: list[Tensor], loss: Callable[[list[Tensor]], Tensor], grid: Tensor) -> Tensor:
    params = [weight.clone() for weight in weights]
    direction = filter_normalize(random_direction(params, seed=3), params)
    return loss_surface(lambda: loss(params), params, [direction], grid)


def test_each_row_is_as_long_as_its_weights_and_vectors_stay() -> None:
    params = [torch.randn(5, 3, 2, 2), torch.randn(4, 7), torch.randn(4), torch.tensor(2.0)]
    normalized = filter_normalize(random_direction(params), params)
    for step, weights in zip(normalized[:2], params, strict=False):
        torch.testing.assert_close(step.flatten(1).norm(dim=1), weights.flatten(1).norm(dim=1))
    assert not normalized[2].any()
    assert normalized[3] == 0


def test_the_example() -> None:
    direction = [torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([5.0])]
    params = [torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([1.0])]
    found = filter_normalize(direction, params)
    assert [step.tolist() for step in found] == [[[0.0, 5.0], [0.0, 0.0]], [0.0]]
    assert direction[0].tolist() == [[0.0, 2.0], [1.0, 0.0]]


def test_rows_of_zeros_stay_zeros() -> None:
    zero, one = torch.zeros(2, 3), torch.ones(2, 3)
    for direction, params in ((zero, one), (one, zero), (zero, zero)):
        assert filter_normalize([direction], [params])[0].tolist() == zero.tolist()


def test_a_random_plane_is_of_two_normalized_directions() -> None:
    params = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(5))]
    plane = random_plane(params, seed=2)
    for number, direction in enumerate(plane):
        assert not any(step.requires_grad for step in direction)
        expected = filter_normalize(random_direction(params, 2, number), params)
        assert all(map(torch.equal, direction, expected))
    assert not torch.equal(plane[0][0], plane[1][0])
    assert loss_surface(lambda: params[0].sum(), params, plane, centered_grid(1.0, 3)).shape == (3, 3)
    with pytest.raises(InvalidValue, match="params"):
        random_plane([])


def test_layers_that_are_rescaled_look_the_same_and_neurons_do_not() -> None:
    weights, loss = network()
    grid = centered_grid(1.0, 9)
    before = surface(weights, loss, grid)
    first, bias, second, last = weights
    layer = surface([7 * first, 7 * bias, second / 7, last], loss, grid)
    torch.testing.assert_close(layer, before, rtol=1e-12, atol=0)
    factors = torch.logspace(-1, 1, len(bias), dtype=torch.float64)
    neurons = surface([factors[:, None] * first, factors * bias, second / factors, last], loss, grid)
    assert neurons[4] == pytest.approx(float(before[4]), rel=1e-12)  # the same network
    assert (neurons - before).abs().max() > 0.1


def test_interpolation_is_exact_at_its_ends() -> None:
    w0, w1 = [torch.randn(3, 3) * 1e6, torch.randn(2)], [torch.randn(3, 3), torch.randn(2) * 1e-6]
    for t, end in ((0.0, w0), (1.0, w1)):
        assert all(torch.equal(a, b) for a, b in zip(interpolate(w0, w1, t), end, strict=True))
    assert interpolate([torch.tensor([0.0, 4.0])], [torch.tensor([8.0, 0.0])], 0.25)[0].tolist() == [2.0, 3.0]


def test_a_quadratic_is_drawn_as_it_is() -> None:
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    w = nn.Parameter(torch.tensor([[0.5, -1.0]], dtype=torch.float64))
    d, e = [torch.tensor([[1.0, 2.0]], dtype=torch.float64)], [torch.tensor([[-1.0, 1.0]], dtype=torch.float64)]
    grid = torch.tensor([-2.0, -0.5, 0.0, 1.0], dtype=torch.float64)

    def loss(weights: Tensor) -> Tensor:
        return ((weights @ matrix) * weights).sum() / 2

    line = loss_surface(lambda: loss(w), [w], [d], grid)
    plane = loss_surface(lambda: loss(w), [w], [d, e], grid)
    for i, a in enumerate(grid):
        assert line[i] == loss(w + a * d[0])
        for j, b in enumerate(grid):
            assert plane[i, j] == loss(w + a * d[0] + b * e[0])
    assert plane[2, 2] == loss(w)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_weights_come_back_bit_for_bit_whatever_happens(error: type[BaseException]) -> None:
    w = nn.Parameter(torch.tensor([[0.1, -0.0, 1e-40, 3e30]]))
    w.grad = torch.ones_like(w)
    before, calls = w.detach().clone().view(torch.int32), []

    def loss() -> Tensor:
        calls.append(w.detach().clone())
        if len(calls) == 3:
            raise error
        return w.sum()

    with pytest.raises(error):
        loss_surface(loss, [w], [[torch.full_like(w, 0.3)]], centered_grid(1.0, 5))
    assert torch.equal(w.detach().view(torch.int32), before)
    assert not torch.equal(calls[-1], calls[0])  # it was away when it happened
    calls[:] = calls * 2
    loss_surface(loss, [w], [[torch.full_like(w, 0.3)]], centered_grid(1.0, 5))
    assert torch.equal(w.detach().view(torch.int32), before)
    assert torch.equal(w.grad, torch.ones_like(w))
    assert w.requires_grad


def test_a_barts_surface_is_what_functional_weights_give() -> None:
    torch.manual_seed(0)
    sizes = {"text_vocab": 7, "text_length": 4, "image_codes": 6, "image_length": 4}
    bart = Bart(BartConfig(**sizes, width=8, heads=2, hidden=8, encoder_layers=1, decoder_layers=1)).double().eval()
    text, mask = torch.randint(7, (3, 4)), torch.ones(3, 4, dtype=torch.bool)
    image_in, image = torch.randint(6, (3, 4)), torch.randint(6, (3, 4))
    names, params = zip(*bart.named_parameters(), strict=True)
    directions = [filter_normalize(random_direction(params, number=n), params) for n in (0, 1)]
    grid = centered_grid(0.5, 3)
    found = loss_surface(lambda: sequence_loss(bart(text, mask, image_in), image), params, directions, grid)
    for i, a in enumerate(grid):
        for j, b in enumerate(grid):
            moved = [w + a * d + b * e for w, d, e in zip(params, *directions, strict=True)]
            logits = functional_call(bart, dict(zip(names, moved, strict=True)), (text, mask, image_in))
            assert found[i, j] == pytest.approx(sequence_loss(logits, image).item(), rel=1e-13)


def test_barriers_of_known_height() -> None:
    ends = [torch.zeros(1, dtype=torch.float64)], [torch.ones(1, dtype=torch.float64)]
    assert barrier(lambda w: float(w[0] * (1 - w[0])), *ends) == pytest.approx(0.25)
    assert barrier(lambda w: float(w[0] * (1 - w[0]) + 5 * w[0]), *ends) == pytest.approx(0.25)  # minus the chord
    assert barrier(lambda w: float(w[0] * (w[0] - 1)), *ends) == 0  # a valley is none
    heights = {0.0: 1.0, 0.5: 6.0, 1.0: 3.0}
    assert barrier(lambda w: heights[float(w[0])], *ends, points=3) == 4


def test_permuted_hidden_units_are_the_same_network_behind_a_barrier() -> None:
    weights, loss = network()
    first, bias, second, last = weights
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    permuted = [first[order], bias[order], second[:, order], last]
    assert loss(permuted).item() == pytest.approx(loss(weights).item(), rel=1e-14)
    height = barrier(loss, weights, permuted, points=21)
    losses = [float(loss(interpolate(weights, permuted, t))) for t in torch.linspace(0, 1, 21).tolist()]
    assert height == pytest.approx(max(losses) - losses[0], rel=1e-6)
    assert height > 0.1


def test_a_models_barrier_leaves_the_model_alone() -> None:
    layer = nn.Linear(2, 2)
    params = list(layer.parameters())
    before = [parameter.detach().clone() for parameter in params]
    away = [parameter + 1 for parameter in before]
    at = loss_at(lambda: layer(torch.ones(1, 2)).square().sum(), params)
    assert barrier(at, before, away) == 0  # convex
    assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))
    assert at(away) == pytest.approx((away[0].sum(1) + away[1]).square().sum().item())


def test_directions_are_gaussian_and_their_own() -> None:
    """loss-landscapes draws from [0, 1]: two of its random directions have a cosine of 3/4."""
    params = [torch.zeros(100, 100, dtype=torch.float64)]
    before = torch.get_rng_state()
    one, two = (random_direction(params, number=number)[0].flatten() for number in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(F.cosine_similarity(one, two, dim=0)) < 0.04  # four standard errors
    assert abs(one.mean()) < 0.04
    assert one.square().mean() == pytest.approx(1, abs=0.06)
    assert torch.equal(random_direction(params)[0].flatten(), one)
    assert not torch.equal(random_direction(params, seed=1)[0].flatten(), one)
    uniform = torch.rand(2, 10000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert F.cosine_similarity(uniform[0], uniform[1], dim=0) == pytest.approx(0.75, abs=0.02)


def test_a_bias_is_not_normalized_with_its_own_length_nor_twice() -> None:
    """loss-landscapes scales biases as if each number were a row, and once more after the layer."""
    layer = nn.Linear(3, 2)
    params = list(layer.parameters())
    once = filter_normalize(random_direction(params), params)
    twice = filter_normalize(once, params)
    assert not once[1].any()
    torch.testing.assert_close(twice[0], once[0])


def test_the_grid_has_the_weights_in_the_middle_and_both_ends() -> None:
    """loss-landscapes' walk begins one step beside its start, so that its center is not the model."""
    grid = centered_grid(0.3, 31)
    assert grid[15] == 0
    assert grid[0] == -0.3
    assert grid[-1] == 0.3
    assert torch.equal(grid, -grid.flip(0))
    w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    losses = loss_surface(lambda: w.square().sum(), [w], [[torch.ones(1, dtype=torch.float64)]], grid)
    assert losses.argmin() == 0
    assert losses[15] == 4
    assert losses[0] == pytest.approx(1.7**2)


def bad_inputs() -> dict[str, tuple[Callable[[], object], str]]:
    w = nn.Parameter(torch.ones(2, 2))
    d, nan = [torch.ones(2, 2)], torch.full((2, 2), float("nan"))
    grid = centered_grid(1.0, 3)

    def draw(directions: list[list[Tensor]] | None = None, grid: Tensor = grid, loss: float = 1.0) -> Tensor:
        return loss_surface(lambda: torch.tensor(loss), [w], [d] if directions is None else directions, grid)

    return {
        "no parameters": (lambda: filter_normalize([], []), "params"),
        "no parameters to draw for": (lambda: random_direction([]), "params"),
        "whole numbers": (lambda: random_direction([torch.ones(2, dtype=torch.long)]), "float32"),
        "bf16": (lambda: loss_at(lambda: torch.tensor(0.0), [torch.ones(2, dtype=torch.bfloat16)]), "float32"),
        "a parameter twice": (lambda: loss_at(lambda: torch.tensor(0.0), [w, w]), "twice"),
        "another shape": (lambda: filter_normalize([torch.ones(4)], [w]), "direction"),
        "too few tensors": (lambda: interpolate([w], [], 0.5), "w1"),
        "NaN in a direction": (lambda: filter_normalize([nan], [w]), "NaN"),
        "NaN in the weights": (lambda: filter_normalize(d, [nan]), "NaN"),
        "no number": (lambda: interpolate([w], d, float("nan")), "t="),
        "three directions": (lambda: draw([d, d, d]), "directions"),
        "no direction": (lambda: draw([]), "directions"),
        "no 0": (lambda: draw(grid=torch.tensor([-1.0, 1.0])), "grid"),
        "falling": (lambda: draw(grid=torch.tensor([1.0, 0.0])), "ascending"),
        "a NaN in the grid": (lambda: draw(grid=torch.tensor([0.0, float("nan")])), "grid"),
        "an empty grid": (lambda: draw(grid=torch.tensor([])), "grid"),
        "a loss that is none": (lambda: draw(loss=float("nan")), "loss"),
        "an even grid": (lambda: centered_grid(1.0, 4), "points"),
        "one point": (lambda: centered_grid(1.0, 1), "points"),
        "no reach": (lambda: centered_grid(0.0, 3), "reach"),
        "an endless reach": (lambda: centered_grid(float("inf"), 3), "reach"),
        "two points": (lambda: barrier(lambda w: 0.0, d, d, points=2), "points"),
        "an infinite loss": (lambda: barrier(lambda w: float("inf"), d, d), "loss"),
    }


@pytest.mark.parametrize("name", bad_inputs())
def test_bad_input_is_told(name: str) -> None:
    call, word = bad_inputs()[name]
    with pytest.raises(InvalidValue, match=word):
        call()


def test_far_away_the_loss_may_be_anything() -> None:
    w = nn.Parameter(torch.zeros(1))
    losses = loss_surface(lambda: (1e38 * w.abs()).exp().sum() - 1, [w], [[torch.ones(1)]], centered_grid(1.0, 3))
    assert losses.tolist() == [float("inf"), 0.0, float("inf")]
