"""Flat minima and the gap, at matched training loss, over five seeds: the other figures of lesson 05.

    python benchmarks/flatness.py                 # all arms
    python benchmarks/flatness.py --only SAM      # some

Small BARTs learn 500 pictures by heart until their loss on those is TARGET, each by another way of training; then the
loss on unseen pictures and how sharp the minimum is are measured. Losses, data and recipe are those of
`generalization.py`. `noise`: a fifth of the training rows have another's caption, on which the loss is not matched.
The file is written after every seed, and what is finished is not done again.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generalization import BART, SEEDS, Data, batch, losses, some_examples, training_rows

from minidalle.bart import Bart, sequence_loss
from minidalle.checkpoint import save_json
from minidalle.generalization.gap import examples
from minidalle.generalization.hessian import rescaled
from minidalle.generalization.lanczos import hutchinson_trace, top_eigenvalue
from minidalle.generalization.mean_loss import bart_loss
from minidalle.generalization.memorization import shuffle_captions
from minidalle.generalization.rescaling import reparameterize
from minidalle.generalization.sharpness import average_sharpness, sam_sharpness
from minidalle.runtime import numpy_generator, stream_seed
from minidalle.training.averaging import Average
from minidalle.training.sam import SAM

OUT = Path(__file__).parents[1] / "solutions" / "05-generalization" / "flatness.json"
PICTURES, MEASURED, TARGET, MOST_STEPS, EVERY = 500, 64, 2.0, 3000, 10


@dataclass(frozen=True)
class Arm:
    """How it is trained; average: the decay of an average of the weights, which is then what is measured."""

    batch_size: int = 64
    learning_rate: float = 2e-3
    rho: float = 0.0
    dropout: float = 0.0
    average: float = 0.0
    noise: float = 0.0


ARMS = {
    "AdamW": Arm(),
    "batch of 16": Arm(batch_size=16, learning_rate=1e-3),
    "SAM": Arm(rho=0.1),
    "average": Arm(average=0.98),
    "dropout": Arm(dropout=0.1),
    "noise, AdamW": Arm(noise=0.2),
    "noise, SAM": Arm(noise=0.2, rho=0.1),
}


def run(arm: Arm, seed: int, data: Data) -> dict[str, Any]:
    """Train one BART to the target: losses, and how sharp the place is."""
    rows = training_rows(data, PICTURES, seed)
    true = examples(data.codec, data.pictures, rows)
    tokens = _noisy(true.tokens, [data.pictures.captions[row] for row in rows], arm.noise, seed)
    unseen = some_examples(data, "iid")
    clean = np.flatnonzero((tokens.text == true.tokens.text).all(1).numpy())[:200]
    torch.manual_seed(stream_seed(seed, "weights"))
    bart, began = Bart(replace(BART, dropout=arm.dropout)), time.process_time()
    bart, step = _train(bart, tokens, clean, arm, seed)
    loss = bart_loss(bart.requires_grad_(True), tokens, clean[:MEASURED], batch_size=MEASURED)
    top, error = top_eigenvalue(loss.product, loss.dim, tolerance=0.02)
    relative, _ = top_eigenvalue(rescaled(loss.product, loss.params), loss.dim, tolerance=0.02)
    trace, trace_error = hutchinson_trace(loss.product, loss.dim, 10)
    found = {"steps": step, "train": _mean(bart, tokens, clean), "iid": losses(bart, {"iid": unseen})["iid"],
             "top": top, "top_error": error, "relative_top": relative, "trace": trace, "trace_error": trace_error,
             "sam": sam_sharpness(loss, 0.1).value, "sam_5": sam_sharpness(loss, 0.1, steps=5).value,
             "average": average_sharpness(loss, 0.01, 10).value}  # fmt: skip
    if arm == ARMS["AdamW"]:
        other = reparameterize(bart, 16.0)
        sharper = bart_loss(other, tokens, clean[:MEASURED], batch_size=MEASURED)
        found |= {"rescaled_top": top_eigenvalue(sharper.product, sharper.dim, tolerance=0.02)[0],
                  "rescaled_train": _mean(other, tokens, clean), "rescaled_iid": losses(other, {"iid": unseen})["iid"],
                  "rescaled_relative_top": top_eigenvalue(rescaled(sharper.product, sharper.params), sharper.dim,
                                                          tolerance=0.02)[0]}  # fmt: skip
    return {name: round(value, 5) for name, value in found.items()} | {"cpu_s": round(time.process_time() - began, 1)}


def _noisy(tokens: Any, captions: list[str], noise: float, seed: int) -> Any:
    """A share of the rows, by lot, with the captions of others."""
    count = round(noise * len(captions))
    if not count:
        return tokens
    rows = numpy_generator(seed, "noisy rows").permutation(len(captions))[:count]
    order = torch.arange(len(captions))
    given = shuffle_captions([captions[row] for row in rows], ["train"] * count, seed)
    order[torch.from_numpy(rows)] = torch.from_numpy(rows[given])
    return replace(tokens, text=tokens.text[order], text_mask=tokens.text_mask[order])


def _mean(bart: Bart, tokens: Any, rows: np.ndarray) -> float:
    loss = bart_loss(bart, tokens, rows, batch_size=64)
    return loss.value()


def _train(bart: Bart, tokens: Any, measured: np.ndarray, arm: Arm, seed: int) -> tuple[Bart, int]:
    """Steps until the loss of the measured rows is at the target; the model, or its average, and how many."""
    base = torch.optim.AdamW(bart.parameters(), arm.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    optimizer = SAM(base, arm.rho) if arm.rho else base
    average = Average(bart, arm.average)
    average.model.requires_grad_(True)  # its curvature is measured, too
    for step in range(1, MOST_STEPS + 1):
        *given, image = batch(tokens, arm.batch_size, seed, step)
        base.param_groups[0]["lr"] = arm.learning_rate * min(1.0, step / 50)

        def closure(given: Any = given, image: Any = image) -> Any:
            optimizer.zero_grad()
            loss = sequence_loss(bart.train()(*given), image)
            loss.backward()
            return loss

        optimizer.step(closure)
        average.update(bart, step)
        model = average.model if arm.average else bart
        if step % EVERY == 0 and _mean(model, tokens, measured) <= TARGET:
            break
    return model.eval(), step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="arms whose names begin so")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {"arms": {}}
    known |= {"torch": torch.__version__, "pictures": PICTURES, "target": TARGET}
    data = Data.shipped()
    for seed in SEEDS:
        for name, arm in ARMS.items():
            record = known["arms"].setdefault(name, {"arm": asdict(arm), "seeds": {}})
            if name.startswith(options.only) and str(seed) not in record["seeds"]:
                record["seeds"][str(seed)] = run(arm, seed, data)
                save_json(options.out, known)
                print(name, seed, record["seeds"][str(seed)], flush=True)


if __name__ == "__main__":
    main()
