"""Ways to take a step: fast layers, in parts, with less kept, compiled. Each gives what the plain way gives."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_recipes import squares, tiny

from minidalle.bart import Bart, BartConfig, Running, sequence_loss
from minidalle.bart.attention import attend, causal_mask, padding_mask
from minidalle.bart.fast_training import fast_attend
from minidalle.course.parts import use
from minidalle.data.tokens import tokenize
from minidalle.errors import InvalidValue
from minidalle.exercises.catalogue import EXERCISES
from minidalle.pipeline import TextToImage
from minidalle.tokenization import Tokenizer
from minidalle.training.bart import BartStage
from minidalle.training.distributed import Ranks, launch
from minidalle.training.vqgan import VQGANStage
from minidalle.vqgan import VQGAN

PICTURES = squares()
PLAIN = replace(tiny().training.bart, precision="fp32", draft_steps=2, calibrate=False)
SHAPES = {
    "ours": tiny().bart,
    "classic": replace(tiny().bart, norm="post", bias=True, tied=True, text_vocab=65, draft_width=0, dropout=0.2),
    "published": replace(tiny().bart, norm="normformer", glu=True, scale_before_linear=False, embedding_norm=True,
                         dropout=0.2),
    "odd": replace(tiny().bart, norm="normformer", glu=True, hidden=42, image_codes=50, draft_width=0),
    "odd, biased": replace(tiny().bart, bias=True, hidden=42, image_codes=50, draft_width=0),
}  # fmt: skip


def batch(config: BartConfig) -> tuple[Tensor, ...]:
    chance = torch.Generator().manual_seed(1)
    text = torch.randint(config.text_vocab, (5, 9), generator=chance)
    mask = torch.arange(9) < torch.tensor([9, 2, 5, 1, 7])[:, None]
    image = torch.randint(config.image_codes, (5, config.image_length), generator=chance)
    return text, mask, image


def loss_and_gradients(bart: Bart, running: Running, precision: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    bart.running = running
    torch.manual_seed(0)
    text, mask, image = batch(bart.config)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        loss = sequence_loss(bart(text, mask, image), image)
    bart.zero_grad()
    loss.backward()
    return loss.detach(), *(p.grad.clone() for p in bart.parameters() if p.grad is not None)


@pytest.mark.parametrize("shape", SHAPES)
def test_fast_layers_give_the_loss_and_gradients_of_the_readable_ones(shape: str) -> None:
    bart = Bart(SHAPES[shape]).train()
    expected = loss_and_gradients(bart, Running(fast=False))
    found = loss_and_gradients(bart, Running())
    assert len(found) == len(expected) > 10
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(a, b) for a, b in zip(found, expected, strict=True))  # they did run


def test_fast_layers_in_bf16_are_as_near_as_the_readable_ones() -> None:
    bart = Bart(replace(SHAPES["published"], dropout=0.0))
    truth = torch.cat([part.flatten() for part in loss_and_gradients(bart, Running(fast=False))])
    errors = [
        (torch.cat([part.flatten() for part in loss_and_gradients(bart, running, torch.bfloat16)]) - truth).norm()
        for running in (Running(fast=False), Running())
    ]
    assert errors[1] < 1.3 * errors[0] < 0.1 * truth.norm()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_layer_that_runs_again_gives_the_same_bits(shape: str, fast: bool) -> None:
    bart = Bart(SHAPES[shape]).train()
    expected = loss_and_gradients(bart, Running(fast=fast))
    found = loss_and_gradients(bart, Running(fast=fast, recompute=True))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_runs_again_keeps_less() -> None:
    def kept(running: Running) -> int:
        sizes: list[int] = []

        def keep(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        bart.running = running
        text, mask, image = batch(bart.config)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            bart(text, mask, image)
        return sum(sizes)

    bart = Bart(replace(SHAPES["ours"], decoder_layers=4))
    assert kept(Running(recompute=True)) < kept(Running()) / 3


def test_attention_of_a_query_with_masked_keys() -> None:
    query, key, value = torch.randn(3, 2, 4, 5, 8).unbind()
    mask = padding_mask(torch.tensor([[True] * 5, [True, False, True, False, False]]))
    torch.testing.assert_close(fast_attend(query, key, value, mask), attend(query, key, value, mask))
    torch.testing.assert_close(fast_attend(query, key, value, None), attend(query, key, value, causal_mask(5)))


@pytest.mark.parametrize("key", ["bart.attend", "bart.glu_feed_forward", "bart.encoder_layer", "bart.causal_mask"])
def test_a_students_function_takes_part_in_the_training(key: str) -> None:
    bart = Bart(SHAPES["published"])
    with use({key: EXERCISES[key].wrong[0]}):
        assert Running(recompute=True).allowed() == Running(fast=False, recompute=True)
        theirs = loss_and_gradients(bart, Running().allowed())
    assert Running().allowed() == Running()
    assert not torch.allclose(loss_and_gradients(bart, Running())[0], theirs[0])


def bart_stage(ranks: Ranks | None = None, device: str = "cpu", shard: bool = False, **settings: object) -> BartStage:
    torch.manual_seed(0)
    bart, vqgan = Bart(tiny().bart).to(device), VQGAN(tiny().vqgan)
    tokenizer = Tokenizer.train(PICTURES.captions, tiny().tokenizer)
    tokens = tokenize(PICTURES.captions, PICTURES.pictures, tokenizer.encode_batch, vqgan.encode, torch.device("cpu"))
    codec = TextToImage(tokenizer, vqgan.to(device), bart)
    return BartStage(replace(PLAIN, **settings), bart, PICTURES, tokens, codec, 0, ranks or Ranks(), shard)  # type: ignore[arg-type]


def vqgan_stage(**settings: object) -> VQGANStage:
    torch.manual_seed(0)
    config = replace(tiny().training.vqgan, precision="fp32", unquantized=1, discriminator_start=1,
                     discriminator_warmup=1)  # fmt: skip
    return VQGANStage(replace(config, **settings), VQGAN(tiny().vqgan), PICTURES, 0, Ranks())  # type: ignore[arg-type]


def trained(stage: BartStage | VQGANStage, steps: int = 4) -> tuple[list[float], dict[str, Tensor]]:
    """The numbers of each step, and the weights after the last."""
    numbers = [value for n in range(steps) for value in stage.step(n).values()]
    return numbers, {name: value for name, value in stage.tensors().items() if name.startswith(("model", "average"))}


@pytest.fixture(scope="module")
def plain() -> tuple[list[float], dict[str, Tensor]]:
    return trained(bart_stage())


def assert_close(found: tuple[list[float], dict[str, Tensor]], expected: tuple[list[float], dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    for name, value in expected[1].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_a_batch_in_parts_is_the_whole_batch(parts: int, plain: tuple[list[float], dict[str, Tensor]]) -> None:
    assert_close(trained(bart_stage(accumulate=parts)), plain)


def test_checkpointing_gives_the_same_bits(plain: tuple[list[float], dict[str, Tensor]]) -> None:
    numbers, tensors = trained(bart_stage(checkpoint_activations=True))
    assert numbers == plain[0]
    assert all(torch.equal(tensors[name], value) for name, value in plain[1].items())


def test_checkpointing_gives_a_vqgan_the_same_bits() -> None:
    expected, found = trained(vqgan_stage()), trained(vqgan_stage(checkpoint_activations=True))
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], value) for name, value in expected[1].items())


def test_compiled_code_learns_the_same(
    plain: tuple[list[float], dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is captured as it is compiled; what is left out is a minute of g++, which is torch's own."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    assert_close(trained(bart_stage(compile=True)), plain)
    assert_close(trained(vqgan_stage(compile=True)), trained(vqgan_stage()))  # the critic is heard from step 2 on


@pytest.mark.gpu
def test_compiled_code_learns_the_same_on_a_gpu() -> None:
    expected = trained(bart_stage(device="cuda"))
    for settings in ({"compile": True}, {"accumulate": 2}, {"checkpoint_activations": True}):
        assert_close(trained(bart_stage(device="cuda", **settings)), expected)


def whole_and_in_parts(ranks: Ranks, folder: Path) -> None:
    """What each of some ranks has learned from whole batches, from batches in parts, and that as a split model."""
    found: list[object] = [trained(bart_stage(ranks, accumulate=parts)) for parts in (1, 2)]
    split = bart_stage(ranks, shard=True, accumulate=2, checkpoint_activations=True)
    found.append([value for n in range(4) for value in split.step(n).values()])
    torch.save(found, folder / f"{ranks.rank}.pt")
    ranks.wait()


def test_ranks_exchange_the_gradients_of_all_parts(tmp_path: Path) -> None:
    launch(whole_and_in_parts, 2, tmp_path)
    (whole, parts, split), (_, other, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert_close(parts, whole)
    assert split == pytest.approx(whole[0], rel=1e-4)
    assert all(torch.equal(other[1][name], value) for name, value in parts[1].items())


def test_no_compiler_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InvalidValue, match=r"compile=True: expected False, or a C\+\+ compiler"):
        bart_stage(compile=True)


def test_parts_are_from_one_to_the_batch() -> None:
    with pytest.raises(InvalidValue, match="accumulate=0: expected from 1 to batch_size=16 parts"):
        replace(PLAIN, accumulate=0)
    with pytest.raises(InvalidValue, match="accumulate=17"):
        replace(PLAIN, accumulate=17)
