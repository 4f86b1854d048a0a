"""Shifting, loss, caption dropout and token noise, by hand and against torch."""

import pytest
import torch
from torch.nn import functional as F

from minidalle.bart import corrupt_tokens, drop_captions, sequence_loss, shift_right


def test_shift_right_by_hand() -> None:
    tokens = torch.tensor([[4, 5, 6], [7, 8, 9]])
    assert shift_right(tokens, 99).tolist() == [[99, 4, 5], [99, 7, 8]]
    assert tokens.tolist() == [[4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("masked", [False, True])
def test_sequence_loss_equals_torch(masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(4, 6, 11, generator=generator)
    targets = torch.randint(0, 11, (4, 6), generator=generator)
    mask = torch.arange(6) < torch.tensor([[6], [1], [3], [4]])
    ignored = targets.masked_fill(~mask, -100) if masked else targets
    expected = F.cross_entropy(logits.flatten(0, 1), ignored.flatten())
    torch.testing.assert_close(sequence_loss(logits, targets, mask if masked else None), expected)


def test_sequence_loss_of_a_uniform_guess_is_log_v_in_full_precision() -> None:
    loss = sequence_loss(torch.full((2, 3, 512), 300.0, dtype=torch.bfloat16), torch.zeros(2, 3, dtype=torch.long))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(6.238324625, abs=1e-4)


def test_sequence_loss_has_the_gradient_of_torch() -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[0, 1, 2], [4, 4, 0]])
    ours, theirs = sequence_loss(logits, targets), F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


def test_dropped_captions_are_the_empty_one_with_its_mask() -> None:
    text, mask = torch.tensor([[0, 7, 8, 2], [0, 9, 2, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]) > 0
    null_text, null_mask = torch.tensor([0, 2, 1, 1]), torch.tensor([True, True, False, False])
    dropped, dropped_mask = drop_captions(text, mask, null_text, null_mask, torch.tensor([False, True]))
    assert dropped.tolist() == [[0, 2, 1, 1], [0, 9, 2, 1]]
    assert dropped_mask.tolist() == [[True, True, False, False], [True, True, True, False]]


def test_token_noise_by_hand() -> None:
    tokens, others = torch.tensor([[1, 2, 3]]), torch.tensor([[7, 8, 9]])
    replace = torch.tensor([[False, True, False]])
    assert corrupt_tokens(tokens, others, replace).tolist() == [[1, 8, 3]]
