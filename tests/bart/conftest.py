"""A model of each kind, captions and image tokens."""

import pytest
import torch
from bart_models import KINDS, make_bart

from minidalle.bart import Bart


@pytest.fixture(params=KINDS)
def bart(request: pytest.FixtureRequest) -> Bart:
    return make_bart(**KINDS[request.param])


@pytest.fixture
def captions() -> tuple[torch.Tensor, torch.Tensor]:
    """Five captions of different lengths, padded to 9 tokens, and their mask."""
    text = torch.randint(0, 37, (5, 9), generator=torch.Generator().manual_seed(1))
    return text, torch.arange(9) < torch.tensor([9, 3, 2, 5, 1])[:, None]


@pytest.fixture
def image_tokens() -> torch.Tensor:
    return torch.randint(0, 16, (5, 16), generator=torch.Generator().manual_seed(2))
