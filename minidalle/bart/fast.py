"""Fast decoding: the tokens of `Bart.start` and `Bart.step`, from packed weights and a cache that never moves.

Not for reading first: `minidalle.bart.cache` says what is computed, and the tests hold this to it. Here the keys
and values lie in tensors made once, the caption's are computed once, guidance is one batch, only the codebook's
logits are computed, and the drawn token goes back in without leaving the device. On a GPU the step of a token is
recorded as a CUDA graph. In float32 the logits are the readable ones up to rounding, in another order of sums.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from minidalle.bart import fast_layers
from minidalle.bart.cache import cross_attention_cache
from minidalle.bart.fast_graph import StepGraphs
from minidalle.bart.fast_linear import DTYPES, check_precision
from minidalle.bart.model import Bart
from minidalle.errors import require

Choose = Callable[[Tensor, Tensor], Tensor]
"""The sampler, as the decoder sees it: logits [R, K] and noise [B, K] → a token of each picture, long [B]."""

ATTENTIONS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Kernels that may be chosen: all but cuDNN's, which plans anew for each shape."""

STRIDE = 64  # a GPU's attention looks over this many tokens, twice as many, and so on: a graph for each


class FastDecoder:
    """The decoder of a `Bart`, with its weights packed; the encoder is the model's own.

    The weights are copied: a model that learns on needs a new one.

    Args:
        bart: the model, in `eval` mode.
        precision: of the decoder's weights: "fp32", "bf16", on a GPU "fp16", on a CPU "int8" (weights only, a
            scale per output, in bf16 arithmetic).
        compiled: let `torch.compile` join small steps, on a GPU; it takes half a minute at first.

    Raises:
        InvalidValue: the device cannot do with that precision, or not with compiled code.
    """

    def __init__(self, bart: Bart, precision: str = "fp32", compiled: bool = False) -> None:
        self.bart, self.device = bart, next(bart.parameters()).device
        check_precision(precision, self.device)
        # the compiler does not know oneDNN's packed weights
        require(not compiled or self.device.type != "cpu", "compiled", compiled, "False on cpu")
        self.dtype, self.compiled = DTYPES[precision], compiled
        self.kept = torch.float32 if self.device.type == "cpu" else self.dtype  # a CPU's attention is slow in bf16
        self.weights = fast_layers.pack_decoder(bart, precision)
        self.embed, self.layer_step, self.codes = fast_layers.embed, fast_layers.layer_step, fast_layers.codes
        if compiled:
            self.embed = torch.compile(self.embed, dynamic=False)
            self.layer_step = torch.compile(self.layer_step, dynamic=False)
            self.codes = torch.compile(self.codes, dynamic=False)

    def open(self, pictures: int, rows: int, text_length: int, choose: Choose, graph: bool | None = None) -> "Decoding":
        """Make room for drawing so many pictures at a time; see `Decoding`."""
        return Decoding(self, pictures, rows, text_length, choose, graph)


class Decoding:
    """Room for some pictures: what changes from token to token lies here, in tensors that stay where they are.

    Args:
        decoder: whose weights.
        pictures: B.
        rows: R, captions that are decoded for them: B, or 2 B with guidance, the empty captions last.
        text_length: T.
        choose: draws tokens from logits; with a graph it is recorded, so it may not wait for the GPU.
        graph: whether to record the step; None: on a CUDA device.
    """

    def __init__(
        self, decoder: FastDecoder, pictures: int, rows: int, text_length: int, choose: Choose, graph: bool | None
    ) -> None:
        require(rows % pictures == 0, "rows", rows, f"a multiple of pictures={pictures}")
        config, device = decoder.bart.config, decoder.device
        self.decoder, self.rows, self.choose = decoder, rows, choose
        make = partial(torch.zeros, device=device)
        self._within, self._across = (
            [
                make(rows, 2, config.heads, length, config.width // config.heads, dtype=decoder.kept)
                for _ in range(config.decoder_layers)
            ]
            for length in (config.image_length, text_length)
        )
        places = (rows if config.draft_width else 1, config.image_length, config.width)
        self._positions = make(places, dtype=decoder.dtype)
        self._caption = make(rows, 1, 1, text_length, dtype=decoder.kept)
        self._noise = make(pictures, config.image_codes)
        self._tokens = make(pictures, config.image_length + 1, dtype=torch.long)
        self._position = make(1, dtype=torch.long)
        self._places = torch.arange(config.image_length, device=device)
        self._graph = device.type == "cuda" if graph is None else graph
        self._stride = STRIDE if device.type == "cuda" else 1
        self._graphs: StepGraphs | None = None

    @torch.inference_mode()
    def read(self, text: Tensor, text_mask: Tensor) -> None:
        """Encode captions, long and bool [R, T], as `Bart.start` does."""
        bart = self.decoder.bart
        memory, weights = bart.encode(text, text_mask), bart.decoder_weights()
        for kept, layer in zip(self._across, weights["layers"].values(), strict=True):
            for place, part in enumerate(cross_attention_cache(layer["cross_attention"], memory, bart.config.heads)):
                kept[:, place] = part
        self._positions.copy_(bart.image_positions(weights, memory, text_mask))
        self._caption.copy_(_bias(text_mask[:, None, None, :], self.decoder.kept))

    @torch.inference_mode()
    def write(self, noise: Tensor) -> Tensor:
        """Draw tokens of the captions that were read: noise [B, n, K], n up to N → long [B, n]."""
        length, longest = noise.shape[1], self.decoder.bart.config.image_length
        require(length <= longest, "image tokens", length, f"at most {longest}")
        rooms = self._rooms()
        with torch.cuda.device_of(self._tokens):  # where graphs are recorded and played; on a CPU, nothing
            if self._graph and self._graphs is None:
                self._graphs = StepGraphs(self._step, self._restart, set(rooms))
            step = self._graphs or self._step
            self._restart()
            for position in range(length):
                self._noise.copy_(noise[:, position])
                step(rooms[position])
        return self._tokens[:, 1 : length + 1].clone()

    def _rooms(self) -> list[int]:
        """How far attention looks at each position: as far as it is filled; recorded, in strides; compiled, all."""
        longest = self.decoder.bart.config.image_length
        stride = longest if self.decoder.compiled else self._stride
        return [min(longest, stride * (position // stride + 1)) for position in range(longest)]

    def _restart(self) -> None:
        self._position.zero_()
        self._tokens[:, 0] = self.decoder.bart.config.start_token

    def _step(self, room: int) -> None:
        """One token of each picture; attention looks over the first `room` places, which hold the position."""
        with sdpa_kernel(ATTENTIONS):
            self._draw(room)

    def _draw(self, room: int) -> None:
        decoder, weights = self.decoder, self.decoder.weights
        tokens = self._tokens.index_select(1, self._position)[:, 0]
        x = decoder.embed(weights, tokens.repeat(self.rows // len(tokens)), self._positions, self._position)
        seen = _bias(self._places[:room] <= self._position, decoder.kept)[None, None, None]
        place = fast_layers.Place(self._position, seen, self._caption)
        for layer, within, across in zip(weights["layers"], self._within, self._across, strict=True):
            x = decoder.layer_step(layer, x, place, within, across)
        tokens = self.choose(decoder.codes(weights, x), self._noise)
        self._position += 1
        self._tokens.index_copy_(1, self._position, tokens[:, None])


def _bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to attention's scores: 0 where it may look, and where not, so little that nothing is left."""
    little = torch.finfo(dtype).min / 4  # a kernel may add to it, and multiply it, before it takes the exponential
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, little)
