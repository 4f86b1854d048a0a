"""`minidalle run` and `minidalle train`: a line of progress on a terminal, a line now and then in a log."""

import re
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from minidalle.cli.places import require_folder
from minidalle.cli.settings import with_settings
from minidalle.data import DataConfig
from minidalle.errors import require
from minidalle.presets import PRESETS
from minidalle.run import Block, run
from minidalle.token_run import run_on_tokens
from minidalle.training.loop import Interrupted
from minidalle.training.loop import Progress as Step
from minidalle.training.torchrun import command, follows

LOG_SECONDS = 15  # between two lines where there is no terminal

OPTIONS = {"split": "--data-split", "subset": "--data-subset", "image_column": "--image-column",
           "caption_column": "--caption-column", "most": "--most"}  # fmt: skip
"""How the fields of a `DataConfig` are asked for, beside its source."""


class Watcher:
    """Shows how a training goes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("{task.description:6}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:.0f} pictures/s  {task.fields[left]} left"),
            console=console,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self.stage = ""
        self.logged = 0.0

    def __call__(self, step: Step) -> None:
        """Show a training step."""
        if not self.console.is_terminal:
            self._log(step)
            return
        if step.stage != self.stage:
            self.stage = step.stage
            self.task = self.bars.add_task(step.stage, total=step.steps, loss=0.0, rate=0.0, left="")
        self.bars.update(self.task, completed=step.step, loss=step.loss, rate=step.pictures_per_second,
                         left=minutes(step.seconds_left))  # fmt: skip

    def _log(self, step: Step) -> None:
        now = time.monotonic()
        if now - self.logged < LOG_SECONDS and step.step != step.steps:
            return
        self.logged = now
        print(
            f"{step.stage}  step {step.step}/{step.steps}  loss {step.loss:.3f}"
            f"  {step.pictures_per_second:.0f} pictures/s  {minutes(step.seconds_left)} left",
            flush=True,
        )


def minutes(seconds: float) -> str:
    """`7:05` for 425 seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def run_stages(
    preset: str,
    out: Path | None,
    device: str,
    ranks: int,
    seed: int,
    stages: tuple[str, ...],
    data: DataConfig | None,
    block: Block = nullcontext,
    parts: Sequence[str] = (),
    shard: bool = False,
    tokens: Path | None = None,
    asked: Sequence[str] = (),
) -> None:
    """Train the stages that are asked for, with live progress; Ctrl-C saves and says how to go on."""
    _check_options(stages, data, tokens, shard)
    source = str(tokens) if tokens else data.source if data else ""
    name = "-".join([preset, *([short_name(source)] if source else []), *([str(seed)] if seed else [])])
    folder, settings = out or Path("runs") / name, with_settings(PRESETS[preset], stages[-1], asked)
    settings = replace(settings, training=replace(settings.training, seed=seed))
    if not follows():  # one rank complains for all
        require_folder(folder)
        if stages == ("bart",) and tokens is None:
            _require_codec(folder, preset, seed, data)
    console = Console(quiet=follows())
    watcher = Watcher(console)
    say = partial(console.print, markup=False)  # a file's name may look like markup
    began = time.monotonic()
    try:
        with watcher.bars:
            report = None
            if tokens is not None:
                run_on_tokens(settings, folder, tokens, device, ranks, watcher, say, shard)
            else:
                report = run(settings, folder, device, ranks, stages, watcher, say, data, block, parts, shard)
    except Interrupted as stopped:
        print(f"{stopped}. To go on: {command(sys.argv[1:])}", file=sys.stderr)
        raise typer.Exit(130) from None
    console.print(f"done in {minutes(time.monotonic() - began)} min: {report or folder}", highlight=False)


def _check_options(stages: tuple[str, ...], data: DataConfig | None, tokens: Path | None, shard: bool) -> None:
    """Refuse options that do not go with the stages, or with each other."""
    if tokens is not None:
        require(stages == ("bart",), "--tokens", str(tokens), f"none for train {stages[0]}: only train bart reads them")
        require(data is None, "--data", data and data.source, "no pictures beside --tokens, which were made of some")
    fits = not shard or stages == ("bart",)
    require(fits, "--shard-model", shard, f"none for train {stages[0]}: only a BART is split")


def _require_codec(folder: Path, preset: str, seed: int, data: DataConfig | None) -> None:
    """A BART learns the tokens of the run's tokenizer and VQGAN: say which is to be trained first, and how."""
    asked: dict[str, object] = {"--preset": preset, "--out": folder, "--seed": seed or None}
    if data is not None:
        asked |= {"--data": data.source} | {option: getattr(data, name) for name, option in OPTIONS.items()}
    options = [str(word) for pair in asked.items() if pair[1] is not None for word in pair]
    files = {"tokenizer": "tokenizer", "vqgan": "vqgan.safetensors"}
    missing = [stage for stage, file in files.items() if not (folder / file).exists()]
    commands = " && ".join(shlex.join(["minidalle", "train", stage, *options]) for stage in missing)
    absent = " and no ".join(files[stage] for stage in missing)
    require(not missing, "stage", "bart", f"after {' and '.join(missing)}; {folder} has no {absent}: {commands}")


def data_asked_for(source: str | None, **options: str | int | None) -> DataConfig | None:
    """The pictures to train on; None for the bundled ones, which have no options."""
    given = [OPTIONS[name] for name, value in options.items() if value is not None]
    require(source is not None or not given, "--data", source, f"a source of pictures, for {' and '.join(given)}")
    return None if source is None else DataConfig(source, **options)  # type: ignore[arg-type]  # typer knows the types


def short_name(source: str) -> str:
    """What to call the run of a source: `My pictures/` → `my-pictures`, `owner/name@revision` → `name`."""
    last = Path(source.partition("@")[0]).resolve().name
    return re.sub(r"[^a-z0-9]+", "-", last.removesuffix(".parquet").removesuffix(".tar").lower()).strip("-") or "own"
