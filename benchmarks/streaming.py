"""What a large data set costs: memory while a BART is trained on a million rows of tokens, and the speed of encoding.

    python benchmarks/streaming.py                         # 100,000 and 1,000,000 rows; a table and memory.png
    python benchmarks/streaming.py --encode 9000           # rendered emoji in tar files, some corrupt, encoded

The rows are random numbers in the shipped shapes, written as `minidalle encode` writes them. Each training runs in a
process of its own on one thread; its memory is what Linux says of it in /proc, ten times a second.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from minidalle.data import DataConfig, emoji_pictures
from minidalle.data.token_manifest import Manifest, Share, finish
from minidalle.data.token_parts import PART_ROWS, Encoding, Part, write_part
from minidalle.pipeline import SHIPPED
from minidalle.presets import TINY
from minidalle.token_run import run_on_tokens
from minidalle.training.codec import load_codec, save_codec
from minidalle.training.config import BartTraining
from minidalle.training.encoding import encode_share

ROWS = (100_000, 1_000_000)
LIMIT = 2 * 2**30  # bytes
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
STYLES = ("-", "--", ":", "-.")
BART = replace(TINY.bart, width=64, hidden=256, encoder_layers=1, decoder_layers=2)
KINDS = {"VmRSS": "all", "RssAnon": "own"}  # resident: all, and what is not a file that could be read again


def write_rows(folder: Path, rows: int) -> float:
    """Write rows of random tokens; returns the seconds it took."""
    codec, chance, began = load_codec(SHIPPED, torch.device("cpu")), np.random.default_rng(0), time.perf_counter()
    encoding = codec.encoding()
    notes = []
    for part, start in enumerate(range(0, rows, PART_ROWS)):
        notes.append(write_part(folder, part, encoding, random_part(encoding, min(PART_ROWS, rows - start), chance)))
    save_codec(codec, folder)
    begun = Manifest(Share(), encoding, DataConfig("random numbers"), "")
    finish(begun, notes, rows, "random numbers").save(folder)
    return time.perf_counter() - began


def random_part(encoding: Encoding, rows: int, chance: np.random.Generator) -> Part:
    """Rows of random tokens, with captions of forty-odd letters."""
    shape = encoding.shape
    records = np.empty(rows, shape.dtype)
    records["text"] = chance.integers(4, shape.text_vocab - 1, (rows, shape.text_length))
    records["length"] = chance.integers(5, shape.text_length, rows)
    records["image"] = chance.integers(0, shape.codes, (rows, shape.image_length))
    records["colors"] = chance.integers(0, 255 * shape.cell, (rows, shape.image_length, 3))
    numbers = chance.integers(0, 10**9, rows).tolist()
    captions = [f"a drawing of no. {number} that nobody drew, noto style" for number in numbers]
    keys = [f"{number % 1000:05d}.tar/{number:09d}" for number in numbers]
    words = {"caption": captions, "key": keys, "split": ["train"] * rows, "lot": chance.random(rows)}
    return Part(rows, records, words, [])


def train(tokens: Path, steps: int) -> None:
    """Train a small BART, in this process."""
    training = BartTraining(steps=steps, batch_size=64, learning_rate=1e-3, style_dropout=0.25, average=0.9,
                            token_noise=0.2, calibrate=True, checkpoint_every=steps // 2)  # fmt: skip
    preset = replace(TINY, bart=BART, training=replace(TINY.training, bart=training))
    with tempfile.TemporaryDirectory() as run:
        print("begin", flush=True)
        run_on_tokens(preset, Path(run), tokens, "cpu", 1, say=print)


def watched(tokens: Path, steps: int) -> dict[str, np.ndarray]:
    """Train in a process of its own.

    Returns:
        Seconds, and its memory in bytes by kind, at each.
    """
    command = [sys.executable, __file__, "--train", str(tokens), "--steps", str(steps)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    began = time.perf_counter()
    seen: dict[str, list[float]] = {name: [] for name in ("seconds", *KINDS)}
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
        if KINDS.keys() <= found.keys():
            seen["seconds"].append(time.perf_counter() - began)
            for name in KINDS:
                seen[name].append(1024 * int(found[name]))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the training ended with exit code {process.returncode}")
    return {name: np.array(values) for name, values in seen.items()}


def draw(curves: dict[int, dict[str, np.ndarray]], path: Path) -> None:
    """Memory over time, a line for each number of rows, and the limit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    for (rows, curve), color, style in zip(curves.items(), COLORS, STYLES, strict=False):
        axes.plot(curve["seconds"], curve["VmRSS"] / 2**20, style, color=color, label=f"{rows:,} rows")
    axes.axhline(LIMIT / 2**20, color="black", linewidth=1, linestyle="-.", label="2 GiB")
    axes.set(xlabel="seconds since the process began", ylabel="resident memory, MiB", ylim=(0, None))
    axes.legend(loc="center right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def memory(rows: list[int], steps: int, out: Path) -> None:
    """Train on so many rows each; print the table and draw the figure."""
    print("| rows | on disk, MB | bytes per row | written, s | peak, MiB | of it own | trained, s |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    curves = {}
    for count in rows:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            wrote = write_rows(folder, count)
            size = sum(path.stat().st_size for path in folder.glob("part-*"))
            curve = curves[count] = watched(folder, steps)
        peak, own = (curve[name].max() / 2**20 for name in KINDS)
        print(f"| {count:,} | {size / 1e6:.0f} | {size / count:.0f} | {wrote:.0f} | {peak:.0f} | {own:.0f} | "
              f"{curve['seconds'][-1]:.0f} |", flush=True)  # fmt: skip
    draw(curves, out)
    print(f"\n{out}")
    worst = max(curve["VmRSS"].max() for curve in curves.values())
    if worst >= LIMIT:
        raise SystemExit(f"the peak, {worst / 2**20:.0f} MiB, is not below {LIMIT / 2**20:.0f} MiB")


def write_tars(folder: Path, count: int, size: int) -> int:
    """Write emoji as webdataset files of a thousand rows; returns how many of them are corrupt."""
    emoji, corrupt = emoji_pictures(size), 0
    for start in range(0, count, 1000):
        with tarfile.open(folder / f"{start // 1000:05d}.tar", "w") as archive:
            for row in range(start, min(count, start + 1000)):
                file = io.BytesIO()
                Image.fromarray(emoji.pictures[row % len(emoji)]).save(file, "PNG")
                content = file.getvalue()
                content = content[: len(content) // 2] if row % 97 == 5 else b"junk" if row % 501 == 7 else content
                corrupt += row % 97 == 5 or row % 501 == 7
                words = emoji.captions[row % len(emoji)].encode()
                for ending, what in (("png", content), ("txt", words)):
                    member = tarfile.TarInfo(f"{row:06d}.{ending}")
                    member.size = len(what)
                    archive.addfile(member, io.BytesIO(what))
    return corrupt


def encoding(count: int, size: int) -> None:
    """Encode emoji on one thread with the shipped VQGAN, in two shares; print the table."""
    torch.set_num_threads(1)
    print("| shard | its rows | rows | skipped | bytes per row | CPU, s | rows per CPU second | wall, s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place, "tars"), Path(place, "tokens")
        source.mkdir()
        corrupt, left_out = write_tars(source, count, size), 0
        for share in (Share(0, 2), Share(1, 2), Share(0, 1)):
            cpu, wall = time.process_time(), time.perf_counter()
            done = encode_share(DataConfig(str(source)), SHIPPED, out, share)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            left = sum(rows for _, rows in done.skipped)
            left_out += left if share.count == 2 else 0
            size_each = done.encoding.shape.dtype.itemsize + sum(words for *_, words in done.parts) / max(done.rows, 1)
            print(f"| {share}{' (all is there)' if share.count == 1 else ''} | {done.rows + left:,} | {done.rows:,} | "
                  f"{left} | {size_each:.0f} | {cpu:.1f} | {(done.rows + left) / cpu:.0f} | {wall:.1f} |")  # fmt: skip
    if left_out != corrupt:
        raise SystemExit(f"{corrupt} pictures are corrupt, but {left_out} were skipped")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("memory.png"), help="the figure")
    parser.add_argument("--encode", type=int, metavar="N", help="encode so many emoji instead")
    parser.add_argument("--size", type=int, default=32, help="of the emoji, in pixels")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.train, given.steps)
    elif given.encode:
        encoding(given.encode, given.size)
    else:
        memory(given.rows, given.steps, given.out)


if __name__ == "__main__":
    main()
