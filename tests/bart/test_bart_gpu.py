"""The BART on a GPU: the CPU's logits, the same tokens one by one, and bfloat16 that is never taken for more."""

import pytest
import torch
from bart_models import KINDS, make_bart

from minidalle.bart import sequence_loss, shift_right
from minidalle.pipeline import SHIPPED, load
from minidalle.sampling import decode_step
from minidalle.sampling_config import SamplingConfig

pytestmark = pytest.mark.gpu

CAPTIONS = ["red apple", "grinning face, noto style", "woman, dark skin tone", "a blue car", "cat", "fire engine",
            "bread", "flag"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_logits_of_every_kind(cuda: torch.device, kind: str) -> None:
    """The decoder at once, and token by token with its cache."""
    bart, chance = make_bart(**KINDS[kind]), torch.Generator().manual_seed(0)
    text = torch.randint(3, 37, (4, 9), generator=chance)
    mask = torch.arange(9) < torch.tensor([9, 4, 7, 2])[:, None]
    image_in = shift_right(torch.randint(16, (4, 16), generator=chance), bart.config.start_token)
    here = bart(text, mask, image_in)
    bart.to(cuda)
    text, mask, image_in = text.to(cuda), mask.to(cuda), image_in.to(cuda)
    torch.testing.assert_close(bart(text, mask, image_in).cpu(), here, rtol=1e-4, atol=1e-4)
    cache = bart.start(text, mask)
    cached = torch.stack([bart.step(image_in[:, t], cache) for t in range(16)], dim=1)
    torch.testing.assert_close(cached.cpu(), here, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_the_likeliest_tokens_are_the_same(cuda: torch.device, guidance: float) -> None:
    sampling = SamplingConfig(temperature=0, guidance=guidance)
    drawn = []
    for device in ("cpu", "cuda"):
        pipeline = load(SHIPPED, device)
        drawn.append(pipeline.predict(*pipeline.encode_text(CAPTIONS), range(len(CAPTIONS)), sampling).cpu())
    assert torch.equal(*drawn)


def test_chance_is_the_same(cuda: torch.device) -> None:
    """A picture's noise is its seed's, and not the device's."""
    sampling = SamplingConfig(temperature=0.4, guidance=4.0)
    here, there = (load(SHIPPED, device).draw(CAPTIONS, range(8), sampling).cpu() for device in ("cpu", "cuda"))
    same = (here - there).abs().amax((1, 2, 3)) < 1e-3
    assert same.sum() >= 7  # one token that is decided by the last digit may change a picture


def test_half_precision_is_not_silently_wrong(cuda: torch.device) -> None:
    """Losses, and what is drawn, take bfloat16 logits to float32 first."""
    chance = torch.Generator().manual_seed(3)
    logits = (8 * torch.randn(6, 40, 30, generator=chance)).bfloat16().to(cuda)
    targets = torch.randint(30, (6, 40), generator=chance).to(cuda)
    loss = sequence_loss(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, sequence_loss(logits.float(), targets), rtol=0, atol=0)
    noise, config = torch.rand(6, 30, generator=chance).to(cuda), SamplingConfig(temperature=0.7, top_p=0.9)
    assert torch.equal(decode_step(logits[:, 0], noise, config), decode_step(logits[:, 0].float(), noise, config))
