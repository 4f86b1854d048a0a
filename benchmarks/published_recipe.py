"""What the published recipe takes, on paper: tables for docs/scaling.md, from measured figures alone.

python benchmarks/published_recipe.py
"""

from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from minidalle.bart import BartConfig
from minidalle.presets import PRESETS, Preset
from minidalle.reports.training_tasks import bart_step_flops
from minidalle.vqgan import VQGAN, VQGANConfig

DENSE = 786e12  # FLOP/s of large bf16 products on the H100 of benchmarks/README.md
TRAINED = replace(PRESETS["gpu"].bart, encoder_layers=4, decoder_layers=8)  # 2,180 pictures/s on it, AdamW, bf16
TRAINED_PER_SECOND = 2180
CODED_PER_SECOND = 5560  # pictures of 64 × 64 through training steps of the `gpu` preset's VQGAN, with codes
GOAL = 0.4  # of DENSE: what a large, well fed model is said to reach; nobody has measured it here


@dataclass(frozen=True)
class Work:
    """A data set and the model that learns from it. `samples` is how many captioned pictures it sees in all."""

    name: str
    preset: Preset
    rows: int
    samples: int
    record: int


WORKS = (
    Work("`gpu`, the emoji", PRESETS["gpu"], 14_747, 768_000, 2_114),
    Work("mini, each pair once", PRESETS["dalle-mini"], 15_000_000, 15_000_000, 2_178),
    Work("mini, 300,000 steps of 448", PRESETS["dalle-mini"], 15_000_000, 134_400_000, 2_178),
    Work("mega, 1.8 billion samples", PRESETS["dalle-mega"], 15_000_000, 1_800_000_000, 2_178),
)


def encoding_flops(config: VQGANConfig, forward_only: bool = True) -> int:
    """Of one picture through a VQGAN's encoder; or through all of it, and back."""
    vqgan, pictures = VQGAN(config), torch.rand(1, 3, config.image_size, config.image_size)
    with FlopCounterMode(display=False) as counter:
        if forward_only:
            vqgan.encode(pictures)
        else:
            vqgan(pictures, True).pictures.sum().backward()
    return int(counter.get_total_flops())


def training_flops(config: BartConfig, text: int) -> int:
    """Of one picture and its caption, forward and back."""
    return bart_step_flops(config, 1, text)


def billions(size: float) -> str:
    """To two figures, without an exponent."""
    return f"{float(f'{size / 1e9:.2g}'):,g}"


def duration(seconds: float) -> str:
    """In words, to two figures."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return (
                f"{float(f'{seconds / size:.2g}'):,.0f} {unit}"
                if seconds >= 10 * size
                else f"{seconds / size:.1f} {unit}"
            )
    return f"{seconds:.2g} seconds"


def main() -> None:
    """Print the table."""
    learning = TRAINED_PER_SECOND * training_flops(TRAINED, 32)
    coding = CODED_PER_SECOND * encoding_flops(PRESETS["gpu"].vqgan, forward_only=False)
    print(f"learning {learning / 1e12:.0f} TFLOP/s ({learning / DENSE:.1%}), coding {coding / 1e12:.0f} TFLOP/s\n")
    names = ["", "rows", "pixels", "tokens", "encode a picture", "all of them", "samples", "learn a sample"]
    names += ["all, at the measured rate", "all, at 40 %"]
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for work in WORKS:
        side = work.preset.vqgan.image_size
        encode = encoding_flops(work.preset.vqgan)
        train = training_flops(work.preset.bart, work.preset.bart.text_length)
        cells = [
            work.name,
            f"{work.rows:,}",
            *(f"{billions(size * work.rows)} GB" for size in (3 * side**2, work.record)),
        ]
        cells += [f"{billions(encode)} GFLOP", duration(encode * work.rows / coding)]
        cells += [f"{work.samples:,}", f"{billions(train)} GFLOP"]
        cells += [duration(train * work.samples / rate) for rate in (learning, GOAL * DENSE)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
