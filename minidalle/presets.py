"""Named sizes: the shape of every part and how it is trained, from a test's toy to the published models."""

from dataclasses import dataclass, replace

from minidalle.bart.config import BartConfig
from minidalle.clip.config import ClipConfig
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization.config import TokenizerConfig
from minidalle.training.config import BartTraining, ClipTraining, TrainingConfig, VQGANTraining
from minidalle.vqgan.config import VQGANConfig


@dataclass(frozen=True, kw_only=True)
class JudgePreset:
    """A CLIP, its own tokenizer, and how it is trained."""

    tokenizer: TokenizerConfig
    clip: ClipConfig
    training: ClipTraining


RERANKER = JudgePreset(
    tokenizer=TokenizerConfig(vocab_size=2048, text_length=32),
    clip=ClipConfig(text_vocab=2048, text_length=32, image_size=32, dropout=0.1),
    training=ClipTraining(steps=900, batch_size=256, learning_rate=3e-3, optimizer="muon", weight_decay=0.05,
                          warmup=100, average=0.99, betas=(0.9, 0.98), checkpoint_every=150),
)  # fmt: skip
"""Chooses among drawings: it knows the training rows alone."""

SCORER = replace(
    RERANKER,
    clip=replace(RERANKER.clip, width=160, hidden=320, channels=44, features=48, joint=160),
    training=replace(RERANKER.training, rows="all", steps=1500),
)
"""Measures drawings: larger, and a judge may know every real picture."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything that a run needs to know. The picture size is the VQGAN's; judges are trained only if asked for."""

    tokenizer: TokenizerConfig
    vqgan: VQGANConfig
    bart: BartConfig
    training: TrainingConfig
    sampling: SamplingConfig
    reranker: JudgePreset = RERANKER
    scorer: JudgePreset = SCORER


SMALL_VQGAN = VQGANConfig(
    image_size=32, patch=2, channels=48, multipliers=(1, 2), encoder_blocks=(1, 1), decoder_blocks=(1, 2),
    attention_sizes=(), middle=False, groups=0, refinement=12, latent_width=32, code_width=32,
    codes=512, ema_decay=0.98, restart_below=0.03,
)  # fmt: skip

SMALL_BART = BartConfig(
    text_vocab=1024, text_length=32, image_codes=512, image_length=64,
    width=192, heads=3, hidden=768, encoder_layers=2, decoder_layers=3,
)  # fmt: skip

TINY = Preset(
    tokenizer=TokenizerConfig(vocab_size=400, text_length=24),
    vqgan=replace(SMALL_VQGAN, image_size=16, channels=16, decoder_blocks=(1, 1), code_width=8, codes=64),
    bart=replace(SMALL_BART, text_vocab=400, text_length=24, image_codes=64, image_length=16,
                 width=32, heads=2, hidden=64, encoder_layers=1, decoder_layers=1, draft_width=8),
    training=TrainingConfig(
        vqgan=VQGANTraining(steps=60, batch_size=16, learning_rate=3e-3, warmup=5, unquantized=20, average=0.9,
                            discriminator_start=30, discriminator_warmup=10, checkpoint_every=20),
        bart=BartTraining(steps=60, batch_size=16, learning_rate=3e-3, warmup=5, average=0.9,
                          token_noise=0.2, draft_steps=10, calibrate=True, checkpoint_every=20),
    ),
    sampling=SamplingConfig(temperature=0.5, guidance=2.0),
    reranker=JudgePreset(
        tokenizer=TokenizerConfig(vocab_size=400, text_length=24),
        clip=ClipConfig(text_vocab=400, text_length=24, image_size=16, width=32, heads=2, hidden=64, channels=8,
                        features=8, joint=16),
        training=ClipTraining(steps=20, batch_size=32, learning_rate=3e-3, warmup=5, checkpoint_every=10),
    ),
)  # fmt: skip
"""Seconds, for tests: everything that can be switched on is."""

BASELINE = Preset(
    tokenizer=TokenizerConfig(vocab_size=1024, text_length=32),
    vqgan=SMALL_VQGAN,
    bart=SMALL_BART,
    training=TrainingConfig(
        vqgan=VQGANTraining(steps=1560, batch_size=32, learning_rate=3e-3, clip=1.0),
        bart=BartTraining(steps=1160, batch_size=64, learning_rate=2e-3, optimizer="muon", muon_learning_rate=0.02,
                          hold=0.4, decay="linear", thin_toned=False),
    ),
    sampling=SamplingConfig(temperature=0.5, guidance=2.0),
)  # fmt: skip
"""The plain small recipe: what every other one has to beat."""

CPU = replace(
    BASELINE,
    tokenizer=TokenizerConfig(vocab_size=4096, text_length=32),
    bart=replace(SMALL_BART, text_vocab=4096, width=256, heads=4, hidden=1024, encoder_layers=1, decoder_layers=2,
                 draft_width=32),
    training=replace(
        BASELINE.training,
        vqgan=replace(BASELINE.training.vqgan, steps=3000, mse_weight=8.0),
        bart=replace(BASELINE.training.bart, steps=3200, draft_steps=2000, hold=0.7, token_noise=0.24, reword=0.4,
                     style_dropout=0.25, average=0.995, calibrate=True, checkpoint_every=400),
    ),
    sampling=SamplingConfig(temperature=0.25, guidance=2.5),
)  # fmt: skip
"""A laptop: two cores and a quarter of an hour."""

SHIPPED = replace(
    CPU,
    vqgan=replace(SMALL_VQGAN, channels=64, decoder_blocks=(1, 3)),
    bart=replace(CPU.bart, encoder_layers=2, decoder_layers=3, draft_width=64),
    training=replace(
        CPU.training,
        vqgan=replace(CPU.training.vqgan, steps=10_000, flip=True, checkpoint_every=500),
        bart=replace(CPU.training.bart, steps=7000, draft_steps=4000, hold=0.65, average=0.999, weight_decay=0.01,
                     thin_toned=True, checkpoint_every=500),
    ),
    sampling=SamplingConfig(temperature=0.4, guidance=4.0),
)  # fmt: skip
"""The weights in `minidalle/weights`: two cores and an hour and a half."""

GPU = replace(
    CPU,
    vqgan=replace(SMALL_VQGAN, image_size=64, channels=96, encoder_blocks=(2, 2), decoder_blocks=(2, 3), codes=1024),
    bart=replace(CPU.bart, image_codes=1024, image_length=256, width=384, heads=6, hidden=1536,
                 encoder_layers=2, decoder_layers=6, dropout=0.1, draft_width=64),
    training=replace(
        CPU.training,
        vqgan=VQGANTraining(steps=8000, batch_size=64, learning_rate=7e-4, warmup=200, average=0.999, mse_weight=8.0,
                            flip=True, discriminator_start=6000, discriminator_warmup=500, checkpoint_every=1000),
        bart=replace(CPU.training.bart, steps=6000, draft_steps=2500, batch_size=128, hold=0.65, average=0.999,
                     weight_decay=0.01, warmup=200, thin_toned=True, checkpoint_every=500),
    ),
    sampling=SamplingConfig(temperature=0.4, guidance=4.0),
)  # fmt: skip
"""One GPU: pictures of 64 × 64."""

GPU_128 = replace(
    GPU,
    vqgan=replace(GPU.vqgan, image_size=128, multipliers=(1, 1, 2), encoder_blocks=(1, 2, 2), decoder_blocks=(1, 2, 3)),
    training=replace(GPU.training, vqgan=replace(GPU.training.vqgan, batch_size=32, steps=16_000,
                                                 discriminator_start=12_000)),
)  # fmt: skip
"""One GPU: pictures of 128 × 128, in as many tokens as those of 64 × 64."""

DALLE_MINI = Preset(
    tokenizer=TokenizerConfig(vocab_size=50264, text_length=64, normalizer="published"),
    vqgan=VQGANConfig(pixel_range=(0.0, 1.0)),  # as its makers fed it; taming's own is (−1, 1)
    bart=BartConfig(
        text_vocab=50264, text_length=64, image_codes=16384, image_length=256, width=1024, heads=16, hidden=2730,
        encoder_layers=12, decoder_layers=12, norm="normformer", embedding_norm=True, scale_before_linear=False,
        glu=True, positions="absolute",
    ),
    training=TrainingConfig(
        vqgan=VQGANTraining(steps=1_000_000, batch_size=64, learning_rate=4.5e-6, unquantized=0,
                            discriminator_start=250_000, thin_toned=False),
        bart=BartTraining(steps=300_000, batch_size=448, learning_rate=1e-4, warmup=2000, hold=0.9,
                          thin_toned=False, checkpoint_every=5000),
    ),
    sampling=SamplingConfig(guidance=10.0, top_k=256),  # dalle-mini's guidance, min-dalle's top-k
)  # fmt: skip
"""The published DALL·E mini (weights of 2022), with the f16-16384 VQGAN: for its weights, not for a laptop to train."""

DALLE_MEGA = replace(
    DALLE_MINI,
    tokenizer=replace(DALLE_MINI.tokenizer, vocab_size=50272),
    bart=replace(DALLE_MINI.bart, text_vocab=50272, image_extra=32, width=2048, heads=32, hidden=4096,
                 encoder_layers=24, decoder_layers=24),
    training=replace(DALLE_MINI.training, bart=replace(DALLE_MINI.training.bart, batch_size=4224, warmup=10_000)),
)  # fmt: skip
"""The published DALL·E mega (2022)."""

PRESETS = {
    "tiny": TINY,
    "baseline": BASELINE,
    "cpu": CPU,
    "shipped": SHIPPED,
    "gpu": GPU,
    "gpu-128": GPU_128,
    "dalle-mini": DALLE_MINI,
    "dalle-mega": DALLE_MEGA,
}
