"""What `minidalle encode` shows."""

import sys
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from minidalle.cli.places import require_folder
from minidalle.cli.training import LOG_SECONDS, minutes
from minidalle.data import DataConfig
from minidalle.data.token_manifest import Manifest, Share
from minidalle.errors import InvalidValue
from minidalle.pipeline import SHIPPED
from minidalle.runtime import pick_device
from minidalle.training.encoding import Encoded, encode_share
from minidalle.training.loop import Interrupted
from minidalle.training.torchrun import command


class EncodingWatcher:
    """Shows how far the encoding is: a bar on a terminal, a line now and then in a log."""

    def __init__(self, console: Console) -> None:
        self.console, self.logged = console, 0.0
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[skipped]:,} skipped  {task.fields[rate]:.0f} pictures/s  {task.fields[left]}"),
            console=console, refresh_per_second=4, disable=not console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task("encode", total=None, skipped=0, rate=0.0, left="")

    def say(self, line: str) -> None:
        """Show what is done before the first batch."""
        self.bar.update(self.task, description=line)
        if not self.console.is_terminal:
            print(f"encode  {line}", flush=True)

    def __call__(self, done: Encoded) -> None:
        """Show a batch."""
        left = "" if done.seconds_left is None else f"{minutes(done.seconds_left)} left"
        self.bar.update(self.task, description="encode", completed=done.rows, total=done.total, skipped=done.skipped,
                        rate=done.pictures_per_second, left=left)  # fmt: skip
        now = time.monotonic()
        if not self.console.is_terminal and now - self.logged >= LOG_SECONDS:
            self.logged = now
            of = "" if done.total is None else f" of {done.total:,}"
            print(f"encode  {done.rows:,}{of} rows  {done.skipped:,} skipped"
                  f"  {done.pictures_per_second:.0f} pictures/s  {left}".rstrip(), flush=True)  # fmt: skip


def show_encoding(data: DataConfig, run: Path | None, out: Path, shard: str, device: str) -> None:
    """Encode a share, with live progress; Ctrl-C keeps what is done and says how to go on."""
    share, console = Share.parse(shard), Console()
    require_folder(out)
    watcher = EncodingWatcher(console)
    try:
        with watcher.bar:
            done = encode_share(data, run or SHIPPED, out, share, pick_device(device), watcher, say=watcher.say)
    except Interrupted as stopped:
        print(f"{stopped}. To go on: {command(sys.argv[1:])}", file=sys.stderr)
        raise typer.Exit(130) from None
    skipped = sum(count for _, count in done.skipped)
    usable = done.rows or (not skipped and share.count > 1)  # one of several may have no share of few rows
    if not usable:
        listed = f"; {skipped:,} skipped, see {out / done.skipped_file}" if skipped else ""
        raise InvalidValue(f"SOURCE={data.source!r}: no row can be used{listed}")
    for line in summary(done, out):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary(done: Manifest, out: Path) -> list[str]:
    """What a finished share holds, in lines."""
    size = done.rows * done.encoding.shape.dtype.itemsize + sum(words for _, _, words in done.parts)
    each = f" ({size / done.rows:.0f} bytes each)" if done.rows else ""
    lines = [f"shard {done.share}: {done.rows:,} rows, {size / 1e6:,.1f} MB{each}: {out}"]
    if done.skipped:
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in done.skipped)
        lines.append(
            f"{sum(count for _, count in done.skipped):,} skipped, listed in {out / done.skipped_file}: {reasons}"
        )
    return lines
