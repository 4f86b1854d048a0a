"""What drawing by the fast decoder needs kept from one drawing to the next: its copy of the weights, and its room."""

from torch import Tensor

from minidalle.bart import Bart
from minidalle.bart.fast import Decoding, FastDecoder
from minidalle.sampling import decode_step, guide
from minidalle.sampling_config import SamplingConfig


class FastDrawing:
    """Draws the tokens that `generate_tokens` draws, by `minidalle.bart.fast`.

    The decoder's weights are copied for the first drawing, and again when they have changed since: in place, as an
    optimizer changes them, replaced, or moved. What is written through a tensor's `.data` is not noticed.

    Args:
        precision: see `FastDecoder`.
    """

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self._decoder: FastDecoder | None = None
        self._weights: list[tuple[int, int]] = []
        self._room: tuple[object, Decoding] | None = None

    def predict(self, bart: Bart, text: Tensor, mask: Tensor, noise: Tensor, sampling: SamplingConfig) -> Tensor:
        """Captions → image tokens.

        Args:
            bart: the model, in `eval` mode.
            text: text tokens, long [B, T], B at least 1; or [2 B, T] where there is guidance, the empty captions last.
            mask: bool, of the same shape, True where a token is real.
            noise: [B, N, K]; see `picture_noise`.
            sampling: temperature, filters and guidance.

        Returns:
            Tokens, long [B, N].

        Raises:
            InvalidValue: the model's device cannot do with the precision.
        """
        decoding = self._open(bart, text, len(noise), sampling)
        decoding.read(text, mask)
        return decoding.write(noise)

    def _open(self, bart: Bart, text: Tensor, pictures: int, sampling: SamplingConfig) -> Decoding:
        """Room for so many pictures, which is kept until other room is wanted."""

        def choose(logits: Tensor, chance: Tensor) -> Tensor:
            if sampling.guidance != 1:
                conditional, unconditional = logits.chunk(2)
                logits = guide(conditional, unconditional, sampling.guidance)
            return decode_step(logits, chance, sampling)

        rows, length = text.shape
        weights, wanted = _versions(bart), (pictures, rows, length, sampling)
        if self._weights != weights:
            self._decoder = self._room = None
        if self._room is None or self._room[0] != wanted:
            self._room = None  # first gives back the memory of the old one
            self._decoder, self._weights = self._decoder or FastDecoder(bart, self.precision), weights
            self._room = wanted, self._decoder.open(pictures, rows, length, choose)
        return self._room[1]


def _versions(bart: Bart) -> list[tuple[int, int]]:
    """Where each of a model's weights lies, and how often it was changed there; inference tensors do not count that."""
    return [(weight.data_ptr(), -1 if weight.is_inference() else weight._version) for weight in bart.parameters()]
