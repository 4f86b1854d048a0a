"""How each part is trained: the settings of the loop, and of the stages of VQGAN, BART and CLIP."""

from dataclasses import dataclass

from minidalle.errors import require, require_kinds
from minidalle.vqgan.config import DiscriminatorConfig


@dataclass(frozen=True)
class StageConfig:
    """What every stage of training has: its length, its optimizer, and how often it reports and saves.

    `batch_size` counts the pictures of one step over all ranks; the `*_every` are steps. Every checkpoint is
    evaluated on `dev`; the last `keep` and the best one stay. `compile` lets `torch.compile` make code for the
    model's pass, which takes a minute at first.
    """

    steps: int
    batch_size: int
    learning_rate: float
    optimizer: str = "adamw"
    muon_learning_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    warmup: int = 50
    hold: float = 0.0
    decay: str = "cosine"
    clip: float = 1.0
    average: float = 0.0
    precision: str = "bf16"
    compile: bool = False
    thin_toned: bool = True
    log_every: int = 10
    checkpoint_every: int = 250
    keep: int = 2

    def __post_init__(self) -> None:
        require_kinds(self)
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "keep"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")
        require(self.muon_learning_rate > 0, "muon_learning_rate", self.muon_learning_rate, "more than 0")
        ok = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(ok, "betas", self.betas, "two decays in [0, 1)")
        require(self.optimizer in ("adamw", "muon"), "optimizer", self.optimizer, "adamw or muon")
        require(self.decay in ("cosine", "linear"), "decay", self.decay, "cosine or linear")
        require(0 <= self.warmup <= self.steps, "warmup", self.warmup, f"between 0 and steps={self.steps}")
        require(0 <= self.hold <= 1, "hold", self.hold, "a share of the steps, between 0 and 1")
        require(self.clip > 0, "clip", self.clip, "more than 0 (inf for no clipping)")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "at least 0")
        require(0 <= self.average < 1, "average", self.average, "a decay in [0, 1); 0 averages nothing")
        require(self.precision in ("fp32", "bf16"), "precision", self.precision, "fp32 or bf16")

    def check_ranks(self, ranks: int) -> None:
        """Raise `InvalidValue` unless so many ranks can share a batch evenly."""
        even = f"a multiple of {ranks}, the ranks that share it"
        require(self.batch_size % ranks == 0, "batch_size", self.batch_size, even)


SMALL_DISCRIMINATOR = DiscriminatorConfig(width=32, layers=2, groups=8)
"""For pictures of 32 × 32: each of its verdicts sees 22 × 22 pixels."""


@dataclass(frozen=True)
class VQGANTraining(StageConfig):
    """The VQGAN's stage.

    The first `unquantized` steps train a plain autoencoder, so that k-means finds latents worth a codebook.
    The discriminator learns from `discriminator_start` on and is heard `discriminator_warmup` steps later.
    `flip`: every second picture, by lot, is mirrored. `checkpoint_activations`: a level of encoder or decoder keeps
    what came in, and is run again on the way back, to need less memory.
    """

    unquantized: int = 200
    flip: bool = False
    checkpoint_activations: bool = False
    l1_weight: float = 1.0
    mse_weight: float = 2.0
    gradient_weight: float = 1.0
    discriminator_start: int | None = None
    discriminator_warmup: int = 100
    discriminator_weight: float = 0.3
    discriminator_learning_rate: float = 1e-3
    discriminator: DiscriminatorConfig = SMALL_DISCRIMINATOR

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.unquantized < self.steps,
            "unquantized",
            self.unquantized,
            f"between 0 and steps={self.steps}",
        )
        for name in ("l1_weight", "mse_weight", "gradient_weight", "discriminator_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        start = self.discriminator_start
        ok = start is None or start >= self.unquantized
        require(ok, "discriminator_start", start, f"None, or at least unquantized={self.unquantized}")


@dataclass(frozen=True)
class BartTraining(StageConfig):
    """The BART's stage.

    `caption_dropout` is the share of captions replaced by the empty one, which guidance needs; `style_dropout` the
    share that lose the words for their style; `token_noise` the largest share of a picture's decoder-input tokens
    that are replaced by another picture's. For a model with a draft: in the first `draft_steps` the encoder and the
    draft learn alone, which is several times as fast, and its mean colors count `DRAFT_COLORS` of
    `minidalle.training.bart`; after them they count `draft_weight`. After them, too, `reword` is the share of
    captions said in other words, where the data set knows some: pictures are learned by heart sooner from one caption
    each, and the decoder then learns not to trust what was learned by heart.
    `calibrate`: the finished model's logits are divided by the temperature at which `dev` is likeliest.
    `accumulate`: each rank takes its share of a batch in so many parts, one after the other, to need less memory;
    `checkpoint_activations` for the same end: a layer keeps what came in, and is run again on the way back.
    """

    caption_dropout: float = 0.1
    style_dropout: float = 0.0
    token_noise: float = 0.0
    reword: float = 0.0
    draft_weight: float = 1.0
    draft_steps: int = 0
    calibrate: bool = False
    accumulate: int = 1
    checkpoint_activations: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        few = 1 <= self.accumulate <= self.batch_size
        require(few, "accumulate", self.accumulate, f"from 1 to batch_size={self.batch_size} parts")
        for name in ("caption_dropout", "style_dropout", "token_noise", "reword"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a share in [0, 1)")
        require(self.draft_weight >= 0, "draft_weight", self.draft_weight, "at least 0")
        require(0 <= self.draft_steps < self.steps, "draft_steps", self.draft_steps, f"below steps={self.steps}")


@dataclass(frozen=True)
class ClipTraining(StageConfig):
    """The CLIP's stage.

    `rows`: `train`, or `all` for a judge that may know everything. `reword` is the share of captions that are said
    in other words, where the data has some; `style_dropout` the share that lose the words for their style.
    Pictures are moved by up to `shift` pixels each way, and `noise` is the standard deviation of what is added to
    each number in them.
    """

    rows: str = "train"
    reword: float = 0.0
    style_dropout: float = 0.15
    shift: int = 2
    noise: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.rows in ("train", "all"), "rows", self.rows, "train or all")
        for name in ("reword", "style_dropout"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a share in [0, 1]")
        both = self.reword + self.style_dropout
        require(both <= 1, "reword + style_dropout", both, "a share in [0, 1]")
        require(self.shift >= 0, "shift", self.shift, "0 or more pixels")
        require(self.noise >= 0, "noise", self.noise, "0 or more")


@dataclass(frozen=True)
class TrainingConfig:
    """The training of a whole preset. `ranks` is how many processes share each step; 0 leaves it to the machine."""

    vqgan: VQGANTraining
    bart: BartTraining
    seed: int = 0
    ranks: int = 0

    def __post_init__(self) -> None:
        require_kinds(self)
        require(self.ranks >= 0, "ranks", self.ranks, "at least 0 (0: as many as pay on this machine)")
