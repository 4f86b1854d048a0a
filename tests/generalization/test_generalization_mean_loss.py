"""A mean over ragged batches: weighted by tokens, in eval mode, and equal to one large batch."""

import numpy as np
import pytest
import torch
from apple_gpu import OnApple
from curved import KINDS, bart_hessian, nats, tiny_bart, tiny_tokens
from torch import nn

from minidalle.errors import InvalidValue
from minidalle.generalization import mean_loss
from minidalle.generalization.hessian import flatten, hvp, rescaled
from minidalle.generalization.lanczos import top_eigenvalue
from minidalle.generalization.mean_loss import MeanLoss, bart_loss, evaluating
from minidalle.runtime import weights_of

TOKENS = tiny_tokens()
ALL = np.arange(7)


def test_a_mean_over_tokens_is_no_mean_of_means() -> None:
    """100 tokens of .4809 and 10 of 2.4291: .658, and 1.455 where batches count alike, as in hessian-eigenthings."""
    param = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    sums = [(lambda: 100 * 0.4808889 * param.sum() ** 2, 100), (lambda: 10 * 2.4291111 * param.sum() ** 2, 10)]
    loss = MeanLoss(sums, [param])
    assert loss.value() == pytest.approx(0.658, abs=1e-6)
    assert loss.gradient()[0].item() == pytest.approx(2 * 0.658, abs=1e-6)
    assert loss.product(torch.ones(1)).item() == pytest.approx(2 * 0.658, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [3, 100])
def test_ragged_batches_of_a_bart_are_one(kind: str, batch_size: int) -> None:
    bart = tiny_bart(**KINDS[kind])
    loss = bart_loss(bart, TOKENS, ALL, batch_size)
    assert len(loss.batches) == (3 if batch_size == 3 else 1)
    whole = nats(bart, TOKENS)
    assert loss.value() == pytest.approx(whole.item(), rel=1e-12)
    wanted = torch.autograd.grad(whole, loss.params, materialize_grads=True)
    torch.testing.assert_close(loss.gradient(), list(wanted), rtol=1e-10, atol=1e-14)
    v = torch.randn(loss.dim, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(loss.product(v), bart_hessian(bart, TOKENS) @ v, rtol=1e-10, atol=1e-12)


def test_dropout_is_off_and_every_mode_comes_back() -> None:
    """In train mode v·Hv is another number each time; PyHessian leaves the model in eval mode."""
    quiet, bart = tiny_bart(), tiny_bart(dropout=0.5).train()
    bart.encoder.eval()
    modes, random = [module.training for module in bart.modules()], torch.random.get_rng_state()
    loss, v = bart_loss(bart, TOKENS, ALL, 3), torch.ones(bart_loss(bart, TOKENS, ALL).dim).double()
    torch.testing.assert_close(loss.product(v), bart_loss(quiet, TOKENS, ALL).product(v))
    assert loss.value() == pytest.approx(nats(quiet, TOKENS).item())
    torch.testing.assert_close(flatten(loss.gradient()), flatten(bart_loss(quiet, TOKENS, ALL).gradient()))
    assert [module.training for module in bart.modules()] == modes
    assert len(set(modes)) == 2
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(param.grad is None for param in bart.parameters())
    noisy = hvp(lambda: nats(bart, TOKENS), loss.params, v)
    assert not torch.allclose(noisy, loss.product(v), rtol=0.01)  # the trap is real


def test_a_gpu_without_float64_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = bart_loss(tiny_bart().float(), TOKENS, ALL, 3)
    v = torch.ones(loss.dim).double()
    expected = [flatten(loss.gradient()), loss.product(v)]
    monkeypatch.setattr(mean_loss, "flatten", lambda tensors: flatten(tensors).as_subclass(OnApple))
    monkeypatch.setattr(mean_loss, "hvp", lambda fn, params, v: hvp(fn, params, v).as_subclass(OnApple))
    found = [flatten(loss.gradient()), loss.product(v)]
    assert all(map(torch.equal, found, expected))


def test_modes_come_back_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    model[0].eval()

    def fails() -> None:
        with evaluating(model):
            raise ZeroDivisionError(model[1].training)

    with pytest.raises(ZeroDivisionError, match="False"):
        fails()
    assert [module.training for module in model.modules()] == [True, False, True]


def test_query_and_key_rescaled() -> None:
    """W_Q → αW_Q, W_K → W_K / α: the loss stays, λmax grows as you like, and λmax of |W| H |W| stays (Dinh 2017)."""
    bart = tiny_bart()
    loss = bart_loss(bart, TOKENS, ALL)

    def measured() -> tuple[float, float, float]:
        tops = [
            top_eigenvalue(product, loss.dim, tolerance=1e-8)[0]
            for product in (loss.product, rescaled(loss.product, loss.params))
        ]
        return loss.value(), *tops

    before = measured()
    attention = weights_of(bart.decoder)["layers"]["0"]["attention"]
    with torch.no_grad():
        attention["query"]["weight"] *= 64
        attention["key"]["weight"] /= 64
    value, top, relative = measured()
    assert value == pytest.approx(before[0], rel=1e-12)
    assert top > 10 * before[1]
    assert relative == pytest.approx(before[2], rel=1e-8)


BAD = {
    "no rows": (lambda: bart_loss(tiny_bart(), TOKENS, np.arange(0)), "one or more"),
    "no batches": (lambda: MeanLoss([], [torch.ones(1, requires_grad=True)]), "one or more"),
    "no tokens": (lambda: MeanLoss([(lambda: torch.zeros(()), 1), (lambda: torch.zeros(()), 0)],
                                   [torch.ones(1, requires_grad=True)]), "a token"),
    "no weights": (lambda: MeanLoss([(lambda: torch.zeros(()), 1)], []), "without parameters"),
    "bfloat16": (lambda: bart_loss(tiny_bart().bfloat16(), TOKENS, ALL), "model.float"),
    "batch size": (lambda: bart_loss(tiny_bart(), TOKENS, ALL, 0), "1 or more"),
    "nan": (lambda: MeanLoss([(lambda: torch.tensor(torch.nan), 1)], [torch.ones(1, requires_grad=True)]).value(),
            "a finite number"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, reason = BAD[name]
    with pytest.raises(InvalidValue, match=reason):
        call()


def test_one_picture_is_enough() -> None:
    assert bart_loss(tiny_bart(), TOKENS, ALL[:1]).value() > 0
