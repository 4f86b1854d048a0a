"""The trainings of a run, each a function of the run's folder: what is finished is not done again."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from minidalle.bart import Bart, BartConfig
from minidalle.checkpoint import save_json, save_model
from minidalle.clip import Clip, ClipConfig, Judge
from minidalle.data.pictures import CaptionedPictures, CaptionedRows
from minidalle.data.token_shards import TokenShards
from minidalle.data.tokens import TokenRows, tokenize
from minidalle.pipeline import TextToImage
from minidalle.runtime import stream_seed
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training.bart import BartStage
from minidalle.training.calibration import calibrate
from minidalle.training.clip import ClipStage
from minidalle.training.codec import Codec, load_codec
from minidalle.training.config import ClipTraining, TrainingConfig
from minidalle.training.distributed import Ranks
from minidalle.training.loop import Watch, train
from minidalle.training.vqgan import VQGANStage
from minidalle.vqgan import VQGAN, VQGANConfig

Source = Callable[[], CaptionedPictures]
"""Gives the data set. It is pickled for other ranks, so it is a function of a module or a partial of one."""


def train_tokenizer(folder: Path, config: TokenizerConfig, source: Source, reword: bool = False) -> None:
    """Learn a vocabulary from the captions of `train`; writes `folder/tokenizer`.

    Args:
        folder: the run's.
        config: the vocabulary's size.
        source: gives the captions.
        reword: learn from the pictures' other words too, for a BART that is to read them. Each counts once: they
            outnumber the captions, whose own words would be cut into pieces for theirs.
    """
    pictures, draft = source(), folder / "tokenizer.part"
    rows = pictures.rows("train")
    texts = [pictures.captions[row] for row in rows]
    if reword and "keywords" in pictures.columns:
        texts += sorted({word for row in rows for word in pictures.columns["keywords"][row].split("|")})
    Tokenizer.train(texts, config).save(draft)
    os.replace(draft, folder / "tokenizer")  # it has two files, and is whole or not there


def train_vqgan(
    ranks: Ranks,
    folder: Path,
    config: VQGANConfig,
    training: TrainingConfig,
    source: Source,
    device: str,
    watch: Watch | None = None,
) -> None:
    """Train a VQGAN from its last checkpoint or its first weights; writes `folder/vqgan.safetensors`.

    Args:
        ranks: this process among those that train together.
        folder: the run's.
        config: the model's shape.
        training: its settings; those of `vqgan` and the seed are used.
        source: gives the pictures.
        device: where to train.
        watch: called after every step.
    """
    torch.manual_seed(stream_seed(training.seed, "vqgan weights"))
    stage = VQGANStage(training.vqgan, VQGAN(config).to(device), source(), training.seed, ranks)
    train(stage, training.vqgan, folder / "training" / "vqgan", ranks, watch)
    if ranks.first:
        save_model(folder / "vqgan.safetensors", stage.average.model, config)


def train_bart(
    ranks: Ranks,
    folder: Path,
    config: BartConfig,
    training: TrainingConfig,
    source: Source,
    device: str,
    watch: Watch | None = None,
    shard: bool = False,
) -> None:
    """Train a BART on the tokens of the run's tokenizer and VQGAN; writes `folder/bart.safetensors`.

    The arguments are those of `train_vqgan`, and `shard`: split the model over the ranks.

    Raises:
        CheckpointError: the run has no tokenizer or VQGAN yet.
        InvalidValue: the model cannot be split.
    """
    codec, pictures = load_codec(folder, torch.device(device)), source()
    encoders = codec.tokenizer.encode_batch, codec.vqgan.encode
    tokens = tokenize(pictures.captions, pictures.pictures, *encoders, torch.device(device))
    _train_bart(ranks, folder, config, training, codec, pictures, tokens, device, watch, shard)


def train_bart_on_tokens(
    ranks: Ranks,
    folder: Path,
    config: BartConfig,
    training: TrainingConfig,
    tokens: Path,
    device: str,
    watch: Watch | None = None,
    shard: bool = False,
) -> None:
    """Train a BART on tokens that `minidalle encode` wrote, row by row from the disk; writes `folder/bart.safetensors`.

    The arguments are those of `train_bart`, but for:
        tokens: the folder of the tokens, which the run's tokenizer and VQGAN made.

    Raises:
        InvalidValue, CheckpointError: the tokens are not all there, or damaged.
    """
    codec = load_codec(folder, torch.device(device))
    shards = TokenShards(tokens, codec.paint)
    _train_bart(ranks, folder, config, training, codec, shards, shards, device, watch, shard)


def _train_bart(
    ranks: Ranks,
    folder: Path,
    config: BartConfig,
    training: TrainingConfig,
    codec: Codec,
    pictures: CaptionedRows,
    tokens: TokenRows,
    device: str,
    watch: Watch | None,
    shard: bool,
) -> None:
    torch.manual_seed(stream_seed(training.seed, "bart weights"))
    bart = Bart(config).to(device)
    pipeline = TextToImage(codec.tokenizer, codec.vqgan, bart)
    stage = BartStage(training.bart, bart, pictures, tokens, pipeline, training.seed, ranks, shard)
    train(stage, training.bart, folder / "training" / "bart", ranks, watch)
    finished = stage.steady
    if ranks.first:
        if training.bart.calibrate and len(dev := pictures.rows("dev")):
            found = calibrate(finished, tokens, dev)
            save_json(folder / "training" / "bart" / "calibration.json", found._asdict())
        save_model(folder / "bart.safetensors", finished, config)


def train_clip(
    ranks: Ranks,
    folder: Path,
    config: ClipConfig,
    training: ClipTraining,
    seed: int,
    source: Source,
    device: str,
    watch: Watch | None = None,
) -> None:
    """Train a judge's CLIP; writes `folder/clip.safetensors`, after which `load_judge` reads the folder.

    Args:
        ranks: this process among those that train together.
        folder: the judge's own; holds the `tokenizer` that `train_tokenizer` wrote.
        config: the model's shape.
        training: its settings.
        seed: of every random draw.
        source: gives the pictures.
        device: where to train.
        watch: called after every step.

    Raises:
        CheckpointError: the folder has no tokenizer yet.
    """
    torch.manual_seed(stream_seed(seed, "clip weights"))
    judge = Judge(Tokenizer.load(folder / "tokenizer"), Clip(config).to(device))
    stage = ClipStage(training, judge, source(), seed, ranks)
    train(stage, training, folder / "training" / "clip", ranks, watch)
    if ranks.first:
        save_model(folder / "clip.safetensors", stage.average.model, config)
