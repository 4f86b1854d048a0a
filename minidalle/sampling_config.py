"""How to draw tokens from a model's logits: the settings, apart from the code so that they need no torch."""

from dataclasses import dataclass

from minidalle.errors import require, require_kinds


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Settings of the decoding loop. The defaults draw from the model's own distribution.

    Attributes:
        temperature: below 1 prefers likely tokens; 0 takes the most likely one always.
        top_k: draw only from the k most likely tokens; None for all.
        top_p: draw only from the fewest tokens that together have this probability; 1 for all.
        guidance: how far to go from the prediction without a caption (0) to the one with it (1), and beyond.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    guidance: float = 1.0

    def __post_init__(self) -> None:
        require_kinds(self)
        require(0 <= self.temperature < float("inf"), "temperature", self.temperature, "a number, 0 or more")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "1 or more, or None for all tokens")
        require(0 < self.top_p <= 1, "top_p", self.top_p, "a probability above 0, at most 1")
        require(abs(self.guidance) < float("inf"), "guidance", self.guidance, "a finite number")
