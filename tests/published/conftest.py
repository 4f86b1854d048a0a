"""Small published weights of every form, each made once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import published_trees as trees
import pytest
import torch
from published_trees import IMAGENET, PAINTER, SMALL, flax_bart, random, vqgan_leaves
from torch import Tensor


@pytest.fixture(scope="session")
def leaves() -> dict[str, Tensor]:
    """A small DALL·E mini as an unscanned flax tree."""
    return random(flax_bart(SMALL, scanned=False), seed=1)


@pytest.fixture(scope="session")
def painter() -> dict[str, Tensor]:
    """A small VQGAN of three levels, for flax and taming, whose config says how large its pictures are."""
    return random(dict(vqgan_leaves(PAINTER)), seed=2)


@pytest.fixture(scope="session")
def deep_painter() -> dict[str, Tensor]:
    """A narrow VQGAN of the published depth, for the form that has no config."""
    return random(dict(vqgan_leaves({**PAINTER, "multipliers": (1, 1, 1, 1, 2)})), seed=3)


@pytest.fixture(scope="session")
def imagenet() -> dict[str, Tensor]:
    """A VQGAN of the published size."""
    return random(dict(vqgan_leaves(IMAGENET)), seed=4, dtype=torch.float32)


@pytest.fixture(scope="session")
def sources(
    leaves: dict[str, Tensor], painter: dict[str, Tensor], deep_painter: dict[str, Tensor],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    """A whole folder of each form."""
    folder = tmp_path_factory.mktemp("whole")
    trees.write_flax_dalle(folder / "flax", trees.stack_layers(leaves))
    trees.write_flax_vqgan(folder / "flax" / "vqgan", painter)
    trees.write_torch_dalle(folder / "torch", trees.as_torch(leaves), deep_painter)
    return folder


@pytest.fixture
def copy(sources: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder of a form to spoil."""
    return lambda form: Path(shutil.copytree(sources / form, tmp_path / form))
