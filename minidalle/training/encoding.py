"""Pictures of any number → tokens on disk, once: in a stream, in shares for several machines, resumed where it stopped.

The rows 4096 p to 4096 p + 4095 of a source are part p, and a machine's share is every n-th part. So the same files
come out however many machines there are and however often one was stopped.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from minidalle.data.config import DataConfig
from minidalle.data.foreign import located, open_source
from minidalle.data.rows import RawSource
from minidalle.data.store import fingerprint
from minidalle.data.token_manifest import Manifest, Share, manifests
from minidalle.data.token_parts import PART_ROWS
from minidalle.errors import InvalidValue, require
from minidalle.training.codec import load_codec, save_codec
from minidalle.training.distributed import cores
from minidalle.training.encoder import Encoder
from minidalle.training.loop import stop_requests


@dataclass(frozen=True)
class Encoded:
    """How far it is: rows of this share that are done and left out, of how many if that is known, and how fast."""

    rows: int
    skipped: int
    total: int | None
    pictures_per_second: float

    @property
    def seconds_left(self) -> float | None:
        """None where it is not known."""
        rate = self.pictures_per_second
        return None if self.total is None or not rate else (self.total - self.rows) / rate


Watch = Callable[[Encoded], None]


def encode_share(
    data: DataConfig,
    run: Path,
    out: Path,
    share: Share | None = None,
    device: torch.device | None = None,
    watch: Watch | None = None,
    part_rows: int = PART_ROWS,
    say: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Encode one machine's share of a source. What is there is not done again.

    Args:
        data: the source.
        run: a folder with the tokenizer and the VQGAN.
        out: the folder to write to; several shares may use one.
        share: which; without it, everything.
        device: where the VQGAN works.
        watch: called after every batch.
        part_rows: rows of a part.
        say: told what is being done before the first batch.

    Returns:
        What was done, as it stands in the folder, too.

    Raises:
        InvalidValue: the source or the run cannot be used, or the folder holds something else. Also where a file of the
            source cannot be read any more: all parts but the last are saved, and the next start goes on.
        Interrupted: Ctrl-C or SIGTERM came. All parts but the last are saved.
        CheckpointError: the folder cannot be written.
    """
    share, device = share or Share(), device or torch.device("cpu")
    missing = [name for name in ("tokenizer", "vqgan.safetensors") if not (run / name).exists()]
    require(not missing, "--run", str(run), f"a run with both parts; it has no {' and no '.join(missing)}")
    codec = load_codec(run, device)
    paints = codec.vqgan.encoder is None
    require(not paints, "--run", str(run), "a VQGAN with an encoder; this one can only paint")
    data = located(data)
    source = open_source(data)
    begun = Manifest(share, codec.encoding(part_rows), data, source.fingerprint)
    found = _claim(out, begun)
    if found.finished and not found.damage(out):
        return found
    save_codec(codec, out)
    begun.save(out)
    _tidy(out, share)
    tell = _pace(source, begun, watch, say)  # Ctrl-C ends this at once: nothing is to be saved yet
    with stop_requests() as stop, ThreadPoolExecutor(cores()) as pool:  # Pillow lets the others work while it decodes
        finished = Encoder(codec, begun, out, pool, stop, tell).encode(source)
    finished.save(out)
    return finished


def _claim(out: Path, begun: Manifest) -> Manifest:
    """What the folder says of this share, or `begun`.

    Raises:
        InvalidValue: the folder holds other data or another encoding.
    """
    found = begun
    for other in manifests(out):
        same = other.share.count == begun.share.count and other.share.index != begun.share.index  # another machine's
        pairs = {
            "tokenizer": (other.encoding.tokenizer, begun.encoding.tokenizer),
            "VQGAN": (other.encoding.vqgan, begun.encoding.vqgan),
            "encoding": (other.encoding.name, begun.encoding.name),
            "data, or options for them": ("", "") if same else (_asked(other), _asked(begun)),
        }
        for name, (old, new) in pairs.items():
            if old != new:
                raise InvalidValue(f"--out={str(out)!r}: shard {other.share} there is of another {name} ({old} → {new}"
                                   "): choose another --out, or delete that folder to begin anew")  # fmt: skip
        found = other if other.share == begun.share else found
    return found


def _asked(manifest: Manifest) -> str:
    """What was asked for, wherever it lies."""
    data = manifest.source
    return fingerprint(manifest.stamp, data.split, data.subset, data.image_column, data.caption_column, data.most)


def _tidy(out: Path, share: Share) -> None:
    """Remove what this share left half written when it was killed."""
    for draft in out.glob(".part-*.part"):
        if share.has(int(draft.name.split("-")[1].split(".")[0])):
            draft.unlink(missing_ok=True)


def _pace(
    source: RawSource, begun: Manifest, watch: Watch | None, say: Callable[[str], None]
) -> Callable[[int, int, int], None]:
    """Tells the watcher how far it is: rows done, those left out, those that were done before this start."""
    if watch is None:
        return lambda rows, skipped, before: None
    say("counting rows")  # of many tar files, this takes minutes
    counts, most = source.counts(), begun.source.most
    total = None
    if counts is not None:
        rows = sum(count if most is None else min(count, most) for count in counts.values())
        total = begun.share.rows(rows, begun.encoding.part_rows)
    began = time.monotonic()

    def tell(rows: int, skipped: int, before: int) -> None:
        watch(Encoded(rows, skipped, total, (rows - before) / max(time.monotonic() - began, 1e-9)))

    return tell
