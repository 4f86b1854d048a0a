"""SAM against closed forms, against its own plain form, and where other implementations go wrong."""

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from minidalle.errors import InvalidValue
from minidalle.training.sam import SAM, global_norm, sam_perturbation, sam_step


def normals(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]


SHAPES = ((3, 4), (5,), ())


def make_net() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        for param, value in zip(net.parameters(), normals(*(p.shape for p in net.parameters()), seed=1), strict=True):
            param.copy_(value)
    return net


INPUTS, TARGETS = normals((12, 3), (12, 2), seed=2)


def loss_of(net: nn.Module, rows: slice = slice(None)) -> Tensor:
    return (net(INPUTS[rows]) - TARGETS[rows]).pow(2).mean()


def state(net: nn.Module) -> list[Tensor]:
    return [param.detach().clone() for param in net.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_docstrings_examples() -> None:
    weights, gradients = [torch.tensor([1.0]), torch.tensor([2.0])], [torch.tensor([3.0]), torch.tensor([4.0])]
    assert torch.cat(sam_perturbation(weights, gradients, 0.1)).tolist() == pytest.approx([0.06, 0.08])
    adaptive = torch.cat(sam_perturbation(weights, gradients, 0.1, adaptive=True)).tolist()
    assert [round(value, 3) for value in adaptive] == [0.035, 0.187]
    assert global_norm(gradients) == 5


def test_a_perturbation_is_rho_long_and_climbs_most() -> None:
    weights, gradients = normals(*SHAPES), normals(*SHAPES, seed=1)
    epsilon = sam_perturbation(weights, gradients, 0.05)
    assert global_norm(epsilon) == pytest.approx(0.05, rel=1e-12)
    climb = sum((e * g).sum() for e, g in zip(epsilon, gradients, strict=True))
    assert climb.item() == pytest.approx(0.05 * global_norm(gradients), rel=1e-12)
    epsilon = sam_perturbation(weights, gradients, 0.05, adaptive=True)
    assert global_norm([e / w for e, w in zip(epsilon, weights, strict=True)]) == pytest.approx(0.05, rel=1e-12)
    climb = sum((e * g).sum() for e, g in zip(epsilon, gradients, strict=True))
    assert climb.item() == pytest.approx(
        0.05 * global_norm([w * g for w, g in zip(weights, gradients, strict=True)]), rel=1e-12
    )


def test_an_adaptive_perturbation_follows_a_rescaling() -> None:
    """w' = sw has g' = g / s, and ε' = sε: the same function, shaken alike."""
    weights, gradients, scales = (normals(*SHAPES, seed=seed) for seed in range(3))
    epsilon = sam_perturbation(weights, gradients, 0.1, adaptive=True)
    moved = [w * s for w, s in zip(weights, scales, strict=True)]
    there = sam_perturbation(moved, [g / s for g, s in zip(gradients, scales, strict=True)], 0.1, adaptive=True)
    for e, f, s in zip(epsilon, there, scales, strict=True):
        torch.testing.assert_close(f, e * s)


@pytest.mark.parametrize("gradient", [0.0, math.nan, math.inf])
def test_no_direction_is_no_step(gradient: float) -> None:
    epsilon = sam_perturbation([torch.ones(2)], [torch.full((2,), gradient)], 0.1)
    assert epsilon[0].tolist() == [0, 0]


def test_half_precision_is_summed_in_float32() -> None:
    ones = [torch.ones(10_000, dtype=torch.float16), torch.ones(10_000, dtype=torch.bfloat16)]
    assert global_norm(ones) == pytest.approx(math.sqrt(20_000), rel=1e-6)


@pytest.mark.parametrize("plain", [False, True])
def test_the_limit_cycle_in_one_dimension(plain: bool) -> None:
    """On ½aw², SAM never comes to rest: it jumps between ± ηaρ / (2 − ηa) = .0214286 for η = .6, a = 1, ρ = .05."""
    net = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(net.weight, 0.7)
    sgd = SGD(net.parameters(), lr=0.6)
    sam = SAM(sgd, rho=0.05)

    def loss() -> Tensor:
        return 0.5 * net(torch.ones(1, 1).double()).square().sum()

    def closure() -> Tensor:
        value = loss()
        value.backward()
        return value

    seen = []
    for _ in range(101):
        seen.append(net.weight.item())
        if plain:
            sam_step(net, loss, sgd, 0.05)
        else:
            sam.step(closure)
    assert abs(seen[-1]) == pytest.approx(0.6 * 0.05 / (2 - 0.6), rel=1e-12)
    assert seen[-1] == pytest.approx(-seen[-2], rel=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_three_ways_to_take_a_step_are_one(adaptive: bool) -> None:
    nets = [make_net() for _ in range(4)]
    base = [Adam(net.parameters(), lr=0.01, weight_decay=0.1) for net in nets]
    sams = [SAM(optimizer, 0.1, adaptive) for optimizer in base]
    for _ in range(3):
        loss = sam_step(nets[0], lambda: loss_of(nets[0]), base[0], 0.1, adaptive)

        def closure() -> Tensor:  # no zero_grad, and no backward before it: davda54's crashes
            value = loss_of(nets[1])
            value.backward()
            return value

        assert sams[1].step(closure).item() == loss.item()
        for _pass in (sams[2].ascend, sams[2].step):
            loss_of(nets[2]).backward()
            _pass()
        sams[2].zero_grad()
        for _pass in (sams[3].ascend, sams[3].step):  # three micro-batches of four rows each
            for first in range(0, 12, 4):
                (loss_of(nets[3], slice(first, first + 4)) / 3).backward()
            _pass()
        sams[3].zero_grad()
    assert same(state(nets[0]), state(nets[1]))
    assert same(state(nets[0]), state(nets[2]))
    torch.testing.assert_close(state(nets[0]), state(nets[3]), rtol=1e-9, atol=1e-11)
    assert not same(state(nets[0]), state(make_net()))


def test_the_norm_is_over_all_groups() -> None:
    net = make_net()
    sam = SAM(SGD([{"params": [param], "lr": 0.1} for param in net.parameters()], lr=0.1), rho=0.3)
    before = state(net)
    loss_of(net).backward()
    sam.ascend()
    moves = [now - old for now, old in zip(state(net), before, strict=True)]
    assert global_norm(moves) == pytest.approx(0.3, rel=1e-12)
    assert all(param.grad is None for param in net.parameters())  # the first gradients do not count for the step


def test_weights_come_back_bit_for_bit() -> None:
    """Also in float32, where w + ε − ε is another number."""
    net = make_net().float()
    sam, before = SAM(SGD(net.parameters(), lr=0.0), rho=7.0), state(net)
    for _ in range(20):
        (net(INPUTS.float()) - 1).pow(2).mean().backward()
        sam.ascend()
        assert not same(state(net), before)
        (net(INPUTS.float()) - 1).pow(2).mean().backward()
        sam.step()
        assert same(state(net), before)
        sam.zero_grad()
    sam_step(net, lambda: (net(INPUTS.float()) - 1).pow(2).mean(), sam.base, 7.0)
    assert same(state(net), before)


def test_a_parameter_without_a_second_gradient_comes_back() -> None:
    """davda54's stays where the first pass put it."""
    net, other = make_net(), nn.Parameter(torch.tensor(2.0).double())
    sam = SAM(SGD([*net.parameters(), other], lr=0.1), rho=0.5)
    (loss_of(net) + other**2).backward()
    sam.ascend()
    assert other.item() != 2
    loss_of(net).backward()
    sam.step()
    assert other.item() == 2
    assert not same(state(net), state(make_net()))


def test_a_parameter_without_any_gradient_is_left_alone() -> None:
    net, other = make_net(), nn.Parameter(torch.tensor(2.0))
    frozen = nn.Parameter(torch.tensor(2.0), requires_grad=False)
    sam = SAM(SGD([*net.parameters(), other, frozen], lr=0.1))
    loss_of(net).backward()
    sam.ascend()
    assert (other.item(), frozen.item()) == (2, 2)


@pytest.mark.parametrize("failing", [1, 2])
def test_weights_come_back_after_an_error(failing: int) -> None:
    net, calls = make_net(), []
    sam = SAM(SGD(net.parameters(), lr=0.1))

    def closure() -> Tensor:
        calls.append(1)
        if len(calls) == failing:
            raise ZeroDivisionError
        value = loss_of(net)
        value.backward()
        return value

    with pytest.raises(ZeroDivisionError):
        sam.step(closure)
    assert same(state(net), state(make_net()))
    calls[:] = [1, 1]
    sam.step(closure)  # and goes on
    assert not same(state(net), state(make_net()))


@pytest.mark.parametrize("unscaled", [False, True])
def test_a_grad_scaler_changes_nothing(unscaled: bool) -> None:
    plain, scaled = make_net().float(), make_net().float()
    sams = [SAM(SGD(net.parameters(), lr=0.1, momentum=0.9), rho=0.1) for net in (plain, scaled)]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(3):
        for _pass in (sams[0].ascend, sams[0].step):
            (plain(INPUTS.float())).pow(2).mean().backward()
            _pass()
        sams[0].zero_grad()
        scaler.scale(scaled(INPUTS.float()).pow(2).mean()).backward()
        sams[1].ascend()
        scaler.scale(scaled(INPUTS.float()).pow(2).mean()).backward()
        if unscaled:
            scaler.unscale_(sams[1])  # to clip, for instance
        scaler.step(sams[1])
        scaler.update()
        sams[1].zero_grad()
    torch.testing.assert_close(state(scaled), state(plain), rtol=1e-5, atol=1e-6)
    assert scaler.get_scale() == 1024


@pytest.mark.parametrize("first", [False, True])
def test_an_overflow_skips_the_step_and_puts_weights_back(first: bool) -> None:
    net = make_net().float()
    sam = SAM(SGD(net.parameters(), lr=0.1), rho=0.1)
    scaler, before = torch.amp.GradScaler("cpu", init_scale=1024.0), state(net)
    scaler.scale(net(INPUTS.float()).pow(2).mean() * (math.inf if first else 1)).backward()
    sam.ascend()
    assert same(state(net), before) == first
    scaler.scale(net(INPUTS.float()).pow(2).mean() * math.inf).backward()
    scaler.step(sam)
    scaler.update()
    assert same(state(net), before)
    assert scaler.get_scale() == 512


def test_autocast_of_the_forward_pass_is_enough() -> None:
    net = make_net().float()
    sam = SAM(SGD(net.parameters(), lr=0.1))

    def closure() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            value = net(INPUTS.float()).float().pow(2).mean()
        value.backward()
        return value

    first, *_, last = [sam.step(closure).item() for _ in range(20)]
    assert last < 0.5 * first
    assert all(param.dtype == torch.float32 for param in net.parameters())


def test_a_state_can_be_saved_and_taken_over() -> None:
    nets = [make_net(), make_net()]
    sams = [
        SAM(Adam(net.parameters(), lr=0.05), rho=rho, adaptive=rho < 1)
        for net, rho in zip(nets, (0.2, 9.0), strict=True)
    ]

    def train(which: int) -> None:
        for _pass in (sams[which].ascend, sams[which].step):
            loss_of(nets[which]).backward()
            _pass()
        sams[which].zero_grad()

    train(0)
    nets[1].load_state_dict(nets[0].state_dict())
    sams[1].load_state_dict(deepcopy(sams[0].state_dict()))  # as a file would be
    assert (sams[1].rho, sams[1].adaptive) == (0.2, True)
    train(0)
    train(1)
    assert same(state(nets[0]), state(nets[1]))
    sams[1].param_groups[0]["lr"] = 0.01
    assert sams[1].base.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("of_base", [False, True])
def test_a_schedule_may_hold_either(of_base: bool) -> None:
    net = make_net()
    sam = SAM(SGD(net.parameters(), lr=1.0))
    schedule = torch.optim.lr_scheduler.StepLR(sam.base if of_base else sam, step_size=1, gamma=0.5)
    for rate in (1.0, 0.5, 0.25):
        assert sam.param_groups[0]["lr"] == sam.base.param_groups[0]["lr"] == rate
        for _pass in (sam.ascend, sam.step):
            loss_of(net).backward()
            _pass()
        schedule.step()


def test_a_wrong_order_is_refused() -> None:
    net = make_net()
    sam = SAM(SGD(net.parameters(), lr=0.1))
    with pytest.raises(InvalidValue, match="backward"):
        sam.ascend()
    with pytest.raises(InvalidValue, match="ascend"):
        sam.step()
    loss_of(net).backward()
    sam.ascend()
    loss_of(net).backward()
    with pytest.raises(InvalidValue, match="second in a row"):
        sam.ascend()
    with pytest.raises(InvalidValue, match="between"):
        sam.state_dict()
    sam.restore()
    assert same(state(net), state(make_net()))
    for rho in (-0.1, math.nan, math.inf):
        with pytest.raises(InvalidValue, match="rho"):
            SAM(SGD(net.parameters(), lr=0.1), rho)
