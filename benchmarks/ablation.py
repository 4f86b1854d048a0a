"""What DALL·E mini changed in BART, one change after another, over three seeds: the figures of lesson 03.

    python benchmarks/ablation.py                    # all arms; about 45 minutes of one thread
    python benchmarks/ablation.py --only untied      # one arm

Small BARTs on the image tokens of the shipped VQGAN and the text tokens of a tokenizer with 1,024 entries, AdamW, the
same batches for all arms of a seed. The learning rate is an arm's own: the one of `RATES` that is best on `dev` after a
third of the steps, with a seed that is not used again. The file is written after every arm, and finished arms are not
done again.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import minidalle
from minidalle.bart import Bart, BartConfig
from minidalle.checkpoint import save_json
from minidalle.data import emoji_pictures
from minidalle.data.tokens import TokenizedPictures, tokenize
from minidalle.runtime import stream_seed
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training.bart import BartStage
from minidalle.training.config import BartTraining
from minidalle.training.distributed import Ranks
from minidalle.training.loop import train

OUT = Path(__file__).parents[1] / "solutions" / "03-bart" / "ablation.json"
RATES = (1e-3, 3e-3)
SEEDS = (0, 1, 2)
RATE_SEED = 9

BART = BartConfig(
    text_vocab=1024, text_length=32, image_codes=512, image_extra=512, image_length=64, width=128, heads=2, hidden=512,
    encoder_layers=2, decoder_layers=2, norm="post", embedding_norm=True, bias=True, tied=True, positions="absolute",
)  # fmt: skip
"""Classic BART, small: one table of 1,024 rows for text, picture and head."""

TRAINING = BartTraining(steps=510, batch_size=64, learning_rate=1e-3, warmup=60, hold=0.5, decay="linear",
                        checkpoint_every=30, keep=1, thin_toned=False)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What it changes in the arm before it, in words and in fields."""

    differs: str
    config: BartConfig


def arms() -> dict[str, Arm]:
    """From classic BART to DALL·E mini's shape, each one change further than the one before."""
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("bart", "classic BART: LayerNorm after each sum, biases, one table for text, picture and head", {}),
        ("pre-norm", "LayerNorm before each branch", {"norm": "pre"}),
        ("normformer", "LayerNorm also on what attention gives and in the feed-forward layer", {"norm": "normformer"}),
        ("glu", "gated feed-forward layer, two thirds as wide: as many weights", {"glu": True, "hidden": 341}),
        ("no biases", "no biases in linear layers, no scales where they are followed by one",
         {"bias": False, "scale_before_linear": False}),
        ("untied", "own tables for text, picture and head: DALL·E mini's shape", {"tied": False, "image_extra": 1}),
    )  # fmt: skip
    found, config = {}, BART
    for name, differs, fields in changes:
        config = replace(config, **fields)
        found[name] = Arm(differs, config)
    return found


@dataclass(frozen=True, eq=False)
class Data:
    """The bundled pictures, and as tokens."""

    pictures: Any
    tokens: TokenizedPictures
    codec: minidalle.TextToImage


def shipped_data() -> Data:
    """The data set in the tokens of a small tokenizer and the shipped VQGAN."""
    shipped, pictures = minidalle.load(), emoji_pictures(32)
    captions = [pictures.captions[row] for row in pictures.rows("train")]
    tokenizer = Tokenizer.train(captions, TokenizerConfig(vocab_size=BART.text_vocab, text_length=BART.text_length))
    codec = minidalle.TextToImage(tokenizer, shipped.vqgan, shipped.bart)
    encoders = (codec.tokenizer.encode_batch, codec.vqgan.encode)
    return Data(pictures, tokenize(pictures.captions, pictures.pictures, *encoders, torch.device("cpu")), codec)


def curve(config: BartConfig, training: BartTraining, seed: int, data: Data) -> dict[str, Any]:
    """Train a BART: its nats per token on `dev` after some steps, and the seconds of the processor."""
    torch.manual_seed(stream_seed(seed, "bart weights"))
    stage = BartStage(training, Bart(config), data.pictures, data.tokens, data.codec, seed, Ranks())
    stage.sample = lambda: data.pictures.pictures[0]  # no drawings: only the curve is wanted
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train(stage, training, Path(folder), Ranks())
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    points = [line for line in map(json.loads, lines) if "dev_loss" in line]
    return {
        "steps": [point["step"] for point in points],
        "dev": [round(point["dev_loss"], 4) for point in points],
        "cpu_s": round(time.process_time() - began, 1),
    }


def measure(arm: Arm, data: Data) -> dict[str, Any]:
    """An arm's record in the file."""
    third = TRAINING.steps // 3
    tries = {
        rate: curve(arm.config, replace(TRAINING, learning_rate=rate, steps=third), RATE_SEED, data)["dev"][-1]
        for rate in RATES
    }
    training = replace(TRAINING, learning_rate=min(tries, key=lambda rate: tries[rate]))
    return {
        "differs": arm.differs,
        "parameters": sum(p.numel() for p in Bart(arm.config).parameters()),
        "learning_rate": training.learning_rate,
        "dev_by_rate": {f"{rate:g}": loss for rate, loss in tries.items()},
        "seeds": {str(seed): curve(arm.config, training, seed, data) for seed in SEEDS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="arms whose names begin so")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = json.loads(json.dumps({"training": asdict(TRAINING), "torch": torch.__version__}))
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {"arms": {}}
    data = shipped_data()
    for name, arm in arms().items():
        if name.startswith(options.only) and name not in known["arms"]:
            known["arms"][name] = measure(arm, data)
            ends = [seed["dev"][-1] for seed in known["arms"][name]["seeds"].values()]
            print(f"{name}: {known['arms'][name]['parameters']:,} weights, dev {ends}", flush=True)
            order = {arm: known["arms"][arm] for arm in arms() if arm in known["arms"]}
            known = {"recipe": recipe, "arms": order}
            save_json(options.out, known)


if __name__ == "__main__":
    main()
