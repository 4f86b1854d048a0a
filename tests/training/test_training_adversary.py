"""The discriminator: silent at first, then learning, then heard, and never in command."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from training_recipes import squares, tiny

from minidalle.data.pixels import to_floats
from minidalle.training import adversary as adversary_module
from minidalle.training.adversary import Adversary
from minidalle.training.config import VQGANTraining
from minidalle.training.distributed import Ranks
from minidalle.training.vqgan import VQGANStage
from minidalle.vqgan import VQGAN
from minidalle.vqgan.losses import LossWeights, reconstruction_loss

CONFIG = replace(tiny().training.vqgan, discriminator_start=30, discriminator_warmup=10, precision="fp32")
CPU = torch.device("cpu")


class Scene:
    """A VQGAN, a batch, and what the VQGAN makes of it."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.vqgan = VQGAN(tiny().vqgan)
        self.pictures = to_floats(squares().pictures[:8], CPU)
        self.output = self.vqgan(self.pictures)
        self.reconstruction = reconstruction_loss(self.output.pictures, self.pictures, LossWeights())

    def judge(self, adversary: Adversary, n: int) -> tuple[Tensor, dict[str, float]]:
        return adversary.judge(n, self.pictures, self.output.pictures, self.reconstruction, self.vqgan.last_layer)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def make(config: VQGANTraining = CONFIG) -> Adversary:
    return Adversary(config, CPU, Ranks(), seed=0)


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(before: list[Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


def test_it_is_silent_then_learns_then_is_heard(scene: Scene) -> None:
    adversary = make()
    for n, learns, heard in (
        (0, False, False),
        (29, False, False),
        (30, True, False),
        (39, True, False),
        (40, True, True),
    ):
        before = weights(adversary.discriminator)
        opinion, numbers = scene.judge(adversary, n)
        assert moved(before, adversary.discriminator) == learns
        assert bool(opinion.detach() != 0) == heard
        assert ("discriminator_loss" in numbers, "adaptive_weight" in numbers) == (learns, heard)
        assert opinion.requires_grad == heard


def test_its_own_lesson_leaves_the_vqgan_alone(scene: Scene) -> None:
    adversary = make()
    for n in (30, 40):
        scene.judge(adversary, n)
        assert all(parameter.grad is None for parameter in scene.vqgan.parameters())


def test_the_vqgans_lesson_leaves_it_alone(scene: Scene) -> None:
    adversary = make()
    opinion, _ = scene.judge(adversary, 40)
    before = weights(adversary.discriminator)
    (scene.reconstruction + opinion).backward()
    assert all(parameter.grad is None for parameter in adversary.discriminator.parameters())
    assert not moved(before, adversary.discriminator)
    assert all(parameter.requires_grad for parameter in adversary.discriminator.parameters())
    assert scene.vqgan.last_layer.grad is not None


@pytest.mark.parametrize("share", [0.3, 1.0, 0.0])
@pytest.mark.parametrize("loudness", [1.0, 1e-2, 1e6])
def test_its_pull_on_the_last_layer_is_a_share_of_the_reconstructions(
    scene: Scene, share: float, loudness: float
) -> None:
    adversary = make(replace(CONFIG, discriminator_weight=share))
    with torch.no_grad():
        adversary.discriminator.verdict.weight *= loudness
    opinion, _ = scene.judge(adversary, 40)
    pulls = [torch.autograd.grad(loss, scene.vqgan.last_layer, retain_graph=True)[0].norm()
             for loss in (opinion, scene.reconstruction)]  # fmt: skip
    assert pulls[0].item() == pytest.approx(share * pulls[1].item(), rel=0.1 if loudness < 1 else 0.01)


def test_it_learns_to_tell_pictures_from_noise() -> None:
    adversary, real = make(), to_floats(squares().pictures[:16], CPU)
    chance = torch.Generator().manual_seed(0)
    losses = [adversary._learn(n, real, torch.rand(real.shape, generator=chance)) for n in range(30)]
    assert losses[0] == pytest.approx(1, abs=0.1)
    assert losses[-1] < 0.1


def test_its_state_comes_back(scene: Scene) -> None:
    straight = make()
    for n in range(30, 36):
        scene.judge(straight, n)
        if n == 32:
            saved = {name: value.clone() for name, value in straight.tensors().items()}
    resumed = make()
    resumed.restore(saved)
    for n in range(33, 36):
        scene.judge(resumed, n)
    assert resumed.tensors().keys() == straight.tensors().keys()
    assert all(torch.equal(value, resumed.tensors()[name]) for name, value in straight.tensors().items())


def trained(config: VQGANTraining, steps: int) -> VQGANStage:
    torch.manual_seed(0)
    stage = VQGANStage(config, VQGAN(tiny().vqgan), squares(), 0, Ranks())
    for n in range(steps):
        numbers = stage.step(n)
        assert all(math.isfinite(value) for value in numbers.values())
    return stage


class Shouting(nn.Module):
    """A discriminator that wants the opposite of the pictures, in a voice that grows."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.loudness = nn.Parameter(torch.tensor(1e4))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.loudness * (pictures - 0.5).square().flatten(1).sum(1).view(-1, 1, 1, 1) * -1e4


@pytest.mark.slow
def test_a_hostile_one_cannot_wreck_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 60
    base = replace(CONFIG, steps=steps, discriminator_start=25, discriminator_warmup=5)
    without = trained(replace(base, discriminator_start=None), steps).evaluate()["dev_psnr"]
    honest = trained(base, steps).evaluate()["dev_psnr"]
    monkeypatch.setattr(adversary_module, "Discriminator", Shouting)
    hostile = trained(base, steps).evaluate()["dev_psnr"]
    monkeypatch.setattr(adversary_module, "adaptive_weight", lambda rec, gan: torch.tensor(1.0))
    unchecked = trained(base, steps).evaluate()["dev_psnr"]
    assert honest > without - 1.0
    assert hostile > without - 2.0
    assert unchecked < without - 3.0  # so it was hostile, and it is the adaptive weight that held it
