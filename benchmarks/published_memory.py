"""How much memory published weights need: a file of the published size with random numbers, imported and loaded.

    python benchmarks/published_memory.py                 # the mini shape
    python benchmarks/published_memory.py --size mega     # 2.59 billion numbers: 11 GB of disk, 11 GB of memory

Each step runs in a process of its own, which prints the peak of its memory above what it had once all was
imported. Files of torch's and safetensors' are mapped: what was read of them counts, though it could be given back.
"""

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from minidalle.bart import Bart, BartConfig
from minidalle.checkpoint import load_model
from minidalle.published.importing import write
from minidalle.published.parts import read_dalle
from minidalle.published.sources import FLAX, TORCH

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "published"))
import published_trees as trees

UNIT = 2**30 if sys.platform == "darwin" else 2**20


def write_flax_file(path: Path, size: dict[str, int]) -> None:
    """A scanned flax tree in float16, written leaf by leaf."""
    noise = (0.02 * torch.randn(1 << 20)).half().numpy().tobytes()
    nested: dict = {}
    for name, shape in trees.flax_bart(size, True).items():
        *folders, leaf = name.split("/")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[leaf] = shape
    with open(path, "wb") as file:

        def put(value: dict | tuple) -> None:
            if isinstance(value, dict):
                file.write(b"\xdf" + len(value).to_bytes(4, "big"))
                for key, one in value.items():
                    file.write(trees.packed(key))
                    put(one)
                return
            count = 2 * math.prod(value)
            head = b"\x93" + trees.packed(list(value)) + trees.packed("float16") + b"\xc6" + count.to_bytes(4, "big")
            file.write(b"\xc9" + (len(head) + count).to_bytes(4, "big") + b"\x01" + head)
            for start in range(0, count, len(noise)):
                file.write(noise[: count - start])

        put(nested)


def write_torch_files(folder: Path, size: dict[str, int]) -> None:
    """`encoder.pt` and `decoder.pt` in float16."""
    for side, half in trees.torch_bart(size).items():
        torch.save({name: torch.full(shape, 0.01, dtype=torch.float16) for name, shape in half.items()},
                   folder / f"{side}.pt")  # fmt: skip


def step(what: str, folder: Path, size: str) -> None:
    """One step, in this process, and its line of the table."""
    file, build = folder / "bart.safetensors", lambda **fields: Bart(BartConfig(**fields))
    peak, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    model = None
    if what.startswith("import"):
        write(read_dalle(folder, FLAX if "flax" in what else TORCH, 16384), file)
    else:
        model = load_model(file, build, torch.float16 if "half" in what else None)
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / UNIT
    numbers = sum(weight.numel() * weight.element_size() for weight in model.parameters()) if model else 0
    numbers = numbers or file.stat().st_size
    print(
        f"| {size} | {what} | {numbers / 2**30:.2f} | {grown:.2f} | {grown / (numbers / 2**30):.2f} | {seconds:.0f} |"
    )


STEPS = ("import flax", "load", "load half", "import torch")


def main() -> None:
    """Make the files, run the steps, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["mini", "mega"], default="mini")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step(given.step[0], Path(given.step[1]), given.size)
        return
    size = trees.MEGA if given.size == "mega" else trees.MINI
    print("| size | step | numbers, GiB | peak, GiB | peak / numbers | s |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "config.json").write_text("{}")
        write_flax_file(folder / "flax_model.msgpack", size)
        for what in STEPS:
            if what == "import torch":
                (folder / "flax_model.msgpack").unlink()
                write_torch_files(folder, size)
            command = [sys.executable, __file__, "--size", given.size, "--step", what, place]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
