"""DALL·E mini's published shape, for real: one training step and one picture of 256 tokens, with random weights.

    python benchmarks/published_shape.py            # the dalle-mini preset: 438 M + 76 M parameters, about 8 GB
    python benchmarks/published_shape.py --preset cpu

Prints seconds and the process's peak memory after each part.
"""

import argparse
import math
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from minidalle.bart import Bart, sequence_loss, shift_right
from minidalle.presets import PRESETS, Preset
from minidalle.sampling import generate_tokens, guide, picture_noise
from minidalle.vqgan import VQGAN


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long the block took, and the peak memory so far."""
    began = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    print(f"{what:34} {time.perf_counter() - began:8.1f} s   peak {peak:5.2f} GiB", flush=True)


def training_step(bart: Bart, preset: Preset) -> float:
    """One step of AdamW on one caption and picture of random tokens; returns the loss in nats per token."""
    config = preset.bart
    text = torch.randint(4, config.text_vocab, (1, config.text_length))
    image = torch.randint(config.image_codes, (1, config.image_length))
    optimizer = torch.optim.AdamW(bart.parameters(), lr=preset.training.bart.learning_rate, foreach=False)
    logits = bart(text, torch.ones_like(text, dtype=torch.bool), shift_right(image, config.start_token))
    loss = sequence_loss(logits, image)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def draw_tokens(bart: Bart, preset: Preset) -> torch.Tensor:
    """The image tokens of one caption of random words, with guidance."""
    config, scale = preset.bart, preset.sampling.guidance
    text = torch.randint(4, config.text_vocab, (2, config.text_length))
    mask = torch.ones_like(text, dtype=torch.bool)
    text[1, :2], mask[1, 2:] = torch.tensor([0, 2]), False
    cache = bart.start(text, mask)

    def next_logits(prefix: torch.Tensor) -> torch.Tensor:
        newest = prefix[:, -1] if prefix.shape[1] else torch.tensor([config.start_token])
        conditional, unconditional = bart.step(newest.repeat(2), cache).chunk(2)
        return guide(conditional, unconditional, scale)

    return generate_tokens(next_logits, picture_noise([0], config.image_length, config.image_codes), preset.sampling)


def main() -> None:
    """Measure one preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="dalle-mini")
    preset = PRESETS[parser.parse_args().preset]
    torch.manual_seed(0)
    with measured("build the BART"):
        bart = Bart(preset.bart)
    print(f"  {sum(weight.numel() for weight in bart.parameters()):,} parameters")
    with measured("one training step, batch 1"):
        loss = training_step(bart, preset)
    print(f"  loss {loss:.2f} nats per token; all codes alike would be {math.log(preset.bart.image_codes):.2f}")
    for weight in bart.parameters():
        weight.grad = None
    bart.eval()
    with measured(f"draw {preset.bart.image_length} tokens, guided"):
        tokens = draw_tokens(bart, preset)
    with measured("build the VQGAN"):
        vqgan = VQGAN(preset.vqgan).eval()
    with measured("decode the picture"), torch.inference_mode():
        picture = vqgan.decode(tokens)
    print(f"  picture {tuple(picture.shape)}, finite: {bool(picture.isfinite().all())}")


if __name__ == "__main__":
    main()
