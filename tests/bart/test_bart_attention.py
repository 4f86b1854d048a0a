"""Masks, heads and attention, against torch's own and by hand."""

import pytest
import torch
from torch.nn import functional as F

from minidalle.bart import attend, causal_mask, merge_heads, padding_mask, split_heads


def test_causal_mask_by_hand() -> None:
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_padding_mask_broadcasts_over_heads_and_queries() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    seen = padding_mask(mask).expand(2, 4, 5, 3)
    assert torch.equal(seen[0, 3, 4], mask[0])
    assert torch.equal(seen[1, 0, 0], mask[1])


def test_heads_are_consecutive_pieces_of_the_features() -> None:
    x = torch.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    split = split_heads(x, 4)
    assert split.shape == (2, 4, 3, 2)
    assert torch.equal(split[1, 2, 0], x[1, 0, 4:6])
    assert torch.equal(merge_heads(split), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", ["none", "causal", "padding"])
def test_attend_equals_torch(dtype: torch.dtype, masked: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 4, generator=generator).to(dtype) for _ in range(3))
    lengths = padding_mask(torch.arange(7) < torch.tensor([[7], [2]]))
    mask = {"none": None, "causal": causal_mask(7), "padding": lengths}[masked]
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(attend(query, key, value, mask), expected, atol=tolerance, rtol=tolerance)


def test_attend_has_the_gradients_of_torch() -> None:
    def gradients(function: object) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(2, 3, 7, 4, generator=generator).requires_grad_() for _ in range(3)]
        out = function(*inputs, causal_mask(7))  # type: ignore[operator]
        return list(torch.autograd.grad(out.square().sum(), inputs))

    torch.testing.assert_close(gradients(attend), gradients(F.scaled_dot_product_attention))


def test_a_query_that_may_look_nowhere_gives_numbers() -> None:
    x = torch.randn(1, 1, 2, 4, requires_grad=True)
    mask = torch.tensor([[True, False], [False, False]])
    out = attend(x, x, x, mask)
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    torch.testing.assert_close(out[0, 0, 0], x[0, 0, 0])


def test_the_softmax_is_taken_in_float32_under_autocast() -> None:
    """In bfloat16 a softmax over 4,096 equal scores, cast back and summed there, would not come near 1."""
    query = torch.zeros(1, 1, 1, 4)
    key = torch.zeros(1, 1, 4096, 4)
    key[..., 1::2, 0] = 1e-3
    value = torch.ones(1, 1, 4096, 4)
    dtypes = []
    softmax = torch.Tensor.softmax

    def spy(self: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        out = softmax(self, *args, **kwargs)
        dtypes.append(out.dtype)
        return out

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", dtype=torch.bfloat16):
        patch.setattr(torch.Tensor, "softmax", spy)
        out = attend(query, key, value)
    assert dtypes == [torch.float32]
    torch.testing.assert_close(out.float(), torch.ones_like(out, dtype=torch.float32), atol=0.01, rtol=0)
