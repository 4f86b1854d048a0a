"""How fast one GPU is: drawing, curvature, and steps of the `gpu` preset's trainings, with the memory they take.

    python benchmarks/gpu.py OUT               # about two minutes; writes OUT/gpu.json

Speeds are of steps after a warm-up, in pictures per second. "repeatable" are steps that end with the same bits each
time. The pictures are rendered first, which no figure counts but `render`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minidalle.bart import Bart
from minidalle.data.origin import open_pictures
from minidalle.data.tokens import TokenizedPictures
from minidalle.evaluation import some_rows
from minidalle.generalization.gap import examples
from minidalle.generalization.lanczos import top_eigenvalue
from minidalle.generalization.mean_loss import bart_loss
from minidalle.pipeline import SHIPPED, TextToImage, load
from minidalle.presets import PRESETS
from minidalle.runtime import generator
from minidalle.training.bart import BartStage
from minidalle.training.distributed import Ranks
from minidalle.training.vqgan import VQGANStage
from minidalle.vqgan import VQGAN

GPU = PRESETS["gpu"]
WARM, TIMED = 10, 60  # steps


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes until the GPU is done with it."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def pace(stage: VQGANStage | BartStage, first: int) -> dict[str, float]:
    """Milliseconds per step from a step on, pictures per second, and the most memory taken."""
    for n in range(first, first + WARM):
        stage.step(n)
    torch.cuda.reset_peak_memory_stats()
    took = seconds(lambda: [stage.step(n) for n in range(first + WARM, first + WARM + TIMED)]) / TIMED
    return {"ms_per_step": 1000 * took, "pictures_per_second": stage.config.batch_size / took,
            "peak_GiB": torch.cuda.max_memory_allocated() / 2**30}  # fmt: skip


def repeatable(stage: VQGANStage | BartStage, first: int) -> dict[str, float] | str:
    """The same, where every algorithm gives the same bits each time; or the words of one that cannot."""
    torch.use_deterministic_algorithms(True)  # with `warn_only`, the way back through attention stays as it is
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        return pace(stage, first)
    except RuntimeError as error:
        return str(error)
    finally:
        torch.use_deterministic_algorithms(False)


def vqgan_steps() -> dict[str, dict[str, float] | str]:
    """Before the codebook, with it, and with a discriminator that is heard."""
    config, pictures = GPU.training.vqgan, open_pictures(None, GPU.vqgan.image_size)
    stage = VQGANStage(config, VQGAN(GPU.vqgan).cuda(), pictures, 0, Ranks())
    found: dict[str, dict[str, float] | str] = {"unquantized": pace(stage, 0)}
    stage.step(config.unquantized)
    found["quantized"] = pace(stage, config.unquantized + 1)
    found["quantized, repeatable"] = repeatable(stage, config.unquantized + 1)
    if config.discriminator_start is not None:
        found["with a discriminator"] = pace(stage, config.discriminator_start + config.discriminator_warmup)
    return found


def bart_steps() -> dict[str, dict[str, float] | str]:
    """With real captions and random image tokens."""
    pictures, codec = open_pictures(None, GPU.vqgan.image_size), load(SHIPPED)
    text, mask = codec.tokenizer.encode_batch(pictures.captions)
    size, chance = (len(pictures), GPU.bart.image_length), generator(0, "image tokens")
    tokens = TokenizedPictures(text, mask, torch.randint(GPU.bart.image_codes, size, generator=chance),
                               torch.rand(*size, 3, generator=chance))  # fmt: skip
    bart = Bart(GPU.bart).cuda()
    drawn = TextToImage(codec.tokenizer, VQGAN(GPU.vqgan), bart)
    stage = BartStage(GPU.training.bart, bart, pictures, tokens, drawn, 0, Ranks())
    return {"whole": pace(stage, GPU.training.bart.draft_steps),
            "repeatable": repeatable(stage, GPU.training.bart.draft_steps)}  # fmt: skip


def drawing() -> dict[str, float]:
    """Pictures per second from the shipped weights, alone and in a batch, as `minidalle generate` draws."""
    pipeline, found = load(SHIPPED, "cuda"), {}
    sampling = PRESETS["shipped"].sampling
    for count in (1, 64):
        captions = ["red apple, noto style"] * count
        pipeline.draw(captions, range(count), sampling)
        found[f"{count} at once"] = count / seconds(lambda: pipeline.draw(captions, range(count), sampling))  # noqa: B023
    return found


def curvature() -> dict[str, float]:
    """The largest eigenvalue of the loss's Hessian on 64 training rows of the shipped weights."""
    pipeline, pictures = load(SHIPPED, "cuda"), open_pictures(None, 32)
    tokens = examples(pipeline, pictures, some_rows(pictures, "train", 64)).tokens
    loss = bart_loss(pipeline.bart, tokens, np.arange(64))
    v = torch.randn(loss.dim, generator=generator(0, "v"), dtype=torch.float64)
    loss.product(v)
    found: list[float] = []
    took = seconds(lambda: found.extend(top_eigenvalue(loss.product, loss.dim)))
    return {"top_eigenvalue": found[0], "seconds": took, "product_seconds": seconds(lambda: loss.product(v))}


def command(*arguments: str) -> float:
    """How long one of the package's commands takes, its start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "minidalle", *arguments], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure, and write every figure as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts: repeatable products need it
    figures: dict[str, Any] = {"torch": torch.__version__, "card": torch.cuda.get_device_name()}
    work: dict[str, Callable[[], Any]] = {
        "render": lambda: {size: seconds(lambda: open_pictures(None, size)) for size in (32, 64)},  # noqa: B023
        "drawing": drawing,
        "vqgan": vqgan_steps,
        "bart": bart_steps,
        "curvature": curvature,
        "gap_seconds": lambda: command("gap", "--device", "cuda", "--out", str(out / "gap")),
    }
    for name, measure in work.items():
        try:
            figures[name] = measure()
        except Exception as error:  # the other figures are still worth having
            figures[name] = f"{type(error).__name__}: {error}"
        print(name, json.dumps(figures[name]), flush=True)
        (out / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if any(isinstance(figures[name], str) for name in work):
        sys.exit(1)


if __name__ == "__main__":
    main()
