"""Fast decoding against the readable: the same logits, and token for token the same pictures."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bart_models import KINDS, PUBLISHED, make_bart
from torch import Tensor

from minidalle.bart import Bart
from minidalle.bart.fast import STRIDE, Choose, FastDecoder
from minidalle.bart.fast_layers import pack_decoder
from minidalle.bart.fast_linear import pack, product
from minidalle.errors import InvalidValue
from minidalle.sampling import decode_step, guide, picture_noise
from minidalle.sampling_config import SamplingConfig

SAMPLINGS = [
    SamplingConfig(),
    SamplingConfig(temperature=0.7, top_k=6, top_p=0.9, guidance=3.0),
    SamplingConfig(temperature=0.0, guidance=10.0),
]
WIDE = {"text_vocab": 50, "text_length": 12, "image_codes": 96, "image_length": 144, "width": 128, "heads": 8,
        "hidden": 341, "encoder_layers": 2, "decoder_layers": 4}  # fmt: skip
"""Longer than one stride, a hidden width that is no multiple of anything."""


def chooser(sampling: SamplingConfig) -> Choose:
    def choose(logits: Tensor, noise: Tensor) -> Tensor:
        if sampling.guidance != 1:
            logits = guide(*logits.chunk(2), sampling.guidance)
        return decode_step(logits, noise, sampling)

    return choose


def rows_of(captions: tuple[Tensor, Tensor], guided: bool) -> tuple[Tensor, Tensor]:
    """The captions, and with guidance as many empty ones: two tokens."""
    text, mask = captions
    if not guided:
        return text, mask
    null = torch.arange(text.shape[1], device=text.device) < 2
    return torch.cat([text, torch.zeros_like(text)]), torch.cat([mask, null.expand_as(mask)])


def readable(bart: Bart, text: Tensor, mask: Tensor, noise: Tensor, sampling: SamplingConfig) -> Tensor:
    cache, choose = bart.start(text, mask), chooser(sampling)
    newest = torch.full((len(noise),), bart.config.start_token, device=noise.device)
    drawn = []
    for position in range(noise.shape[1]):
        logits = bart.step(newest.repeat(len(text) // len(noise)), cache)
        newest = choose(logits[:, : bart.config.image_codes], noise[:, position])
        drawn.append(newest)
    return torch.stack(drawn, 1)


def forced_logits(
    bart: Bart, decoder: FastDecoder, text: Tensor, mask: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """What both say to the same tokens, [R, n, K] each."""
    heard: list[Tensor] = []

    def choose(logits: Tensor, noise: Tensor) -> Tensor:
        heard.append(logits.float())
        return noise.argmax(-1)

    codes = bart.config.image_codes
    decoding = decoder.open(len(tokens), len(text), text.shape[1], choose, graph=False)
    decoding.read(text, mask)
    assert torch.equal(decoding.write(torch.nn.functional.one_hot(tokens, codes).float()), tokens)
    cache, start = bart.start(text, mask), torch.full_like(tokens[:, :1], bart.config.start_token)
    inputs = torch.cat([start, tokens[:, :-1]], 1).repeat(len(text) // len(tokens), 1)
    expected = [bart.step(column, cache)[:, :codes] for column in inputs.T]
    return torch.stack(heard, 1), torch.stack(expected, 1)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_same_tokens(bart: Bart, captions: tuple[Tensor, Tensor], sampling: SamplingConfig) -> None:
    text, mask = rows_of(captions, sampling.guidance != 1)
    decoding = FastDecoder(bart).open(5, len(text), text.shape[1], chooser(sampling))
    decoding.read(text, mask)
    for seed in (0, 5):
        noise = picture_noise(range(seed, seed + 5), 16, bart.config.image_codes)
        assert torch.equal(decoding.write(noise), readable(bart, text, mask, noise, sampling))
    assert torch.equal(decoding.write(noise[:, :3]), readable(bart, text, mask, noise, sampling)[:, :3])


def test_the_room_is_used_again_for_other_captions(bart: Bart, captions: tuple[Tensor, Tensor]) -> None:
    text, mask = captions
    decoding = FastDecoder(bart).open(2, 2, 9, chooser(SAMPLINGS[0]))
    noise = picture_noise([7, 8], 16, bart.config.image_codes)
    for pair in ([0, 1], [2, 4]):
        decoding.read(text[pair], mask[pair])
        assert torch.equal(decoding.write(noise), readable(bart, text[pair], mask[pair], noise, SAMPLINGS[0]))


@pytest.mark.parametrize("strides", [False, True], ids=["exact room", "rooms in strides"])
@pytest.mark.parametrize(
    "changes", [PUBLISHED, {}, {**PUBLISHED, "draft_width": 3}], ids=["published", "small", "draft"]
)
def test_a_longer_picture(changes: dict, strides: bool, captions: tuple[Tensor, Tensor]) -> None:
    """As a CUDA graph runs it, with rooms in strides and the rest masked, but played by hand."""
    bart = make_bart(**WIDE, **changes)
    sampling = SamplingConfig(temperature=0.8, top_k=40, guidance=4.0)
    text, mask = rows_of(captions, guided=True)
    noise = picture_noise(range(5), 144, 96)
    decoding = FastDecoder(bart).open(5, 10, 9, chooser(sampling))
    if strides:
        decoding._stride = STRIDE
        assert decoding._rooms() == [64] * 64 + [128] * 64 + [144] * 16
    decoding.read(text, mask)
    assert torch.equal(decoding.write(noise), readable(bart, text, mask, noise, sampling))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_agree(kind: str, precision: str, captions: tuple[Tensor, Tensor], image_tokens: Tensor) -> None:
    bart = make_bart(**KINDS[kind])
    text, mask = rows_of(captions, guided=True)
    ours, expected = forced_logits(bart, FastDecoder(bart, precision), text, mask, image_tokens)
    off = (ours - expected).abs() / expected.std()
    assert off.mean() < {"fp32": 1e-6, "bf16": 0.02, "int8": 0.03}[precision]
    assert off.max() < {"fp32": 2e-5, "bf16": 0.25, "int8": 0.4}[precision]


@pytest.mark.parametrize("shape", [(5, 7), (16, 64), (341, 128), (129, 130)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("rows", [1, 2, 18])
@pytest.mark.parametrize("biased", [False, True])
def test_products(shape: tuple[int, int], precision: str, rows: int, biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = [{"weight": torch.randn(shape, generator=generator)} for _ in range(3)]
    for layer in layers if biased else []:
        layer["bias"] = torch.randn(shape[0], generator=generator)
    x = torch.randn(rows, shape[1], generator=generator)
    packed = pack(layers, precision)
    got = product(packed, x if precision == "fp32" else x.bfloat16()).float()
    expected = torch.cat([torch.nn.functional.linear(x, layer["weight"], layer.get("bias")) for layer in layers], 1)
    scale = {"fp32": 1e-6, "bf16": 0.01, "int8": 0.015}[precision] * shape[1] ** 0.5
    assert (got - expected).abs().max() < 4 * scale


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_copies(kind: str) -> None:
    bart = make_bart(**KINDS[kind]).eval()
    packed = [tensor for tensor in tensors_in(pack_decoder(bart, "fp32")) if not tensor.is_mkldnn]
    own = {tensor.untyped_storage().data_ptr() for tensor in bart.state_dict().values()}
    assert len(packed) > 4
    assert not [tensor.shape for tensor in packed if tensor.untyped_storage().data_ptr() in own]


def tensors_in(weights: Any) -> Iterator[Tensor]:
    if isinstance(weights, Tensor):
        yield weights
    elif isinstance(weights, dict | list):
        for part in weights.values() if isinstance(weights, dict) else weights:
            yield from tensors_in(part)


class Cards:
    """A stand-in for torch.cuda with two GPUs: what is made belongs to the current one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current, self.made, self.recorded = 0, list[int](), list[int]()
        for name in ("device_of", "graph_pool_handle", "Stream", "current_stream", "CUDAGraph", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "stream", nullcontext)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: self.made.append(self.current))

    @contextmanager
    def device_of(self, tensor: Tensor) -> Iterator[None]:
        self.current = 1  # where all tensors are
        yield
        self.current = 0

    def graph_pool_handle(self) -> None:
        return None

    def Stream(self) -> SimpleNamespace:  # noqa: N802 (torch's name)
        self.made.append(self.current)
        return SimpleNamespace(wait_stream=lambda other: None, card=self.current)

    current_stream = CUDAGraph = Stream

    def graph(self, graph: SimpleNamespace, pool: None, stream: SimpleNamespace) -> AbstractContextManager[None]:
        self.recorded += [graph.card, stream.card]
        graph.replay = lambda: self.made.append(self.current)
        return nullcontext()


def test_graphs_are_recorded_and_played_where_the_tensors_are(
    captions: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with two GPUs, where the second one was asked for."""
    cards = Cards(monkeypatch)
    text, mask = (tensor[:1] for tensor in captions)
    decoding = FastDecoder(make_bart().eval()).open(1, 1, 9, chooser(SAMPLINGS[0]), graph=True)
    decoding.read(text, mask)
    decoding.write(torch.zeros(1, 3, 16))
    assert set(cards.recorded) == {1}
    assert set(cards.made) == {1}
    assert cards.current == 0


def test_what_cannot_be_done_is_named(captions: tuple[Tensor, Tensor]) -> None:
    bart = make_bart()
    with pytest.raises(InvalidValue, match="precision='fp16': expected one of fp32, bf16, int8 on cpu"):
        FastDecoder(bart, "fp16")
    with pytest.raises(InvalidValue, match="compiled=True: expected False on cpu"):
        FastDecoder(bart, "bf16", compiled=True)
    with pytest.raises(InvalidValue, match="rows=3: expected a multiple of pictures=2"):
        FastDecoder(bart).open(2, 3, 9, chooser(SAMPLINGS[0]))
    decoding = FastDecoder(bart).open(1, 1, 9, chooser(SAMPLINGS[0]))
    with pytest.raises(InvalidValue, match="image tokens=17: expected at most 16"):
        decoding.write(torch.zeros(1, 17, 16))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    "changes", [PUBLISHED, {}, {**PUBLISHED, "draft_width": 3}], ids=["published", "small", "draft"]
)
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_the_same_tokens_on_a_gpu(
    changes: dict, sampling: SamplingConfig, graph: bool, captions: tuple[Tensor, Tensor]
) -> None:
    bart = make_bart(**WIDE, **changes).cuda()
    text, mask = (tensor.cuda() for tensor in rows_of(captions, sampling.guidance != 1))
    decoding = FastDecoder(bart).open(5, len(text), 9, chooser(sampling), graph=graph)
    for seed in (0, 5):
        decoding.read(text, mask)
        noise = picture_noise(range(seed, seed + 5), 144, 96).cuda()
        same = decoding.write(noise) == readable(bart, text, mask, noise, sampling)
        assert same.all(1).sum() >= 4  # a near tie may send one picture another way
        text = text.flip(0) if sampling.guidance == 1 else text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_logits_agree_on_a_gpu(
    precision: str, compiled: bool, captions: tuple[Tensor, Tensor], image_tokens: Tensor
) -> None:
    if compiled:
        pytest.importorskip("triton", reason="torch.compile needs triton on a GPU")
    bart = make_bart(**PUBLISHED).cuda()
    for pictures in (1, 5):
        text, mask = rows_of(tuple(tensor[:pictures].cuda() for tensor in captions), guided=True)
        decoder = FastDecoder(bart, precision, compiled)
        ours, expected = forced_logits(bart, decoder, text, mask, image_tokens[:pictures].cuda())
        off = (ours - expected).abs() / expected.std()
        assert off.mean() < {"fp32": 1e-5, "bf16": 0.02, "fp16": 0.005}[precision]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_graph_draws_what_its_step_does(compiled: bool, captions: tuple[Tensor, Tensor]) -> None:
    """To the last bit: the same kernels, recorded or not."""
    if compiled:
        pytest.importorskip("triton", reason="torch.compile needs triton on a GPU")
    bart = make_bart(**WIDE, **PUBLISHED).cuda()
    text, mask = (tensor[:1].cuda() for tensor in captions)
    noise = picture_noise([3], 144, 96).cuda()
    decoder = FastDecoder(bart, "bf16", compiled)
    drawn = []
    for graph in (False, True, True):
        decoding = decoder.open(1, 1, 9, chooser(SAMPLINGS[0]), graph=graph)
        decoding.read(text, mask)
        drawn += [decoding.write(noise), decoding.write(noise)]
    assert all(torch.equal(drawn[0], other) for other in drawn[1:])
