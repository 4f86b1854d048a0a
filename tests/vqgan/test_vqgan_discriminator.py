"""The discriminator: its published size, its patches, and that it can tell two kinds of pictures apart."""

import pytest
import torch

from minidalle.errors import InvalidValue
from minidalle.vqgan import Discriminator, DiscriminatorConfig
from minidalle.vqgan.losses import hinge_loss


def test_published_shape() -> None:
    with torch.device("meta"):
        model = Discriminator(DiscriminatorConfig())
        assert model(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    convolutions = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 128 + 256 + 512 + 1
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * (128 + 256 + 512)


def test_widths_double_up_to_eight_times() -> None:
    assert DiscriminatorConfig(width=16, layers=5, groups=8).widths == (16, 32, 64, 128, 128, 128)


def test_a_logit_sees_its_patch_and_no_more() -> None:
    """Without normalization, the published logits see 70 × 70 pixels each (Isola et al. 2017)."""
    torch.manual_seed(0)
    model = Discriminator(DiscriminatorConfig(width=4, groups=0)).double()
    pictures = torch.rand(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    model(pictures)[0, 0, 15, 15].backward()
    rows = pictures.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == 70


def test_small_pictures_and_first_verdicts_are_weak() -> None:
    torch.manual_seed(0)
    model = Discriminator(DiscriminatorConfig(width=16, layers=2, groups=8))
    logits = model(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 1, 6, 6)
    assert logits.abs().max() < 1


def test_verdicts_do_not_depend_on_the_batch() -> None:
    model = Discriminator(DiscriminatorConfig(width=16, layers=2, groups=8))
    pictures = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(model(pictures)[:1], model(pictures[:1]), rtol=1e-4, atol=1e-5)
    assert not list(model.buffers())


def test_it_learns_to_tell_sharp_from_blurred() -> None:
    torch.manual_seed(0)
    model = Discriminator(DiscriminatorConfig(width=16, layers=1, groups=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        sharp = torch.rand(8, 3, 16, 16).round()
        loss = hinge_loss(model(sharp), model(torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


@pytest.mark.parametrize("change", [{"width": 0}, {"layers": 0}, {"groups": -1}, {"groups": 3}])
def test_config_names_the_field_that_is_wrong(change: dict) -> None:
    with pytest.raises(InvalidValue, match=next(iter(change))):
        DiscriminatorConfig(**change)
