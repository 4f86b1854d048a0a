"""The commands that draw: `minidalle generate` and `minidalle trace`; and `minidalle export`, of what drawing needs."""

from pathlib import Path
from typing import Annotated

import typer

from minidalle.cli.model_options import CandidatesOption, DeviceOption, RunOption
from minidalle.cli.training_options import PartsOption

OWN = "[default: the run's own]"


def generate(
    captions: Annotated[list[str], typer.Argument(metavar="CAPTION…", help="What to draw.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Pictures per caption.")] = 1,
    guidance: Annotated[
        float | None, typer.Option(help=f"How hard to follow the caption; 1: as trained.  {OWN}")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help=f"Below 1: likelier pictures; 0: the likeliest.  {OWN}")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help=f"Draw from the k likeliest tokens only.  {OWN}")] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help=f"Draw from the fewest tokens that together have this probability.  {OWN}"),
    ] = None,
    seed: Annotated[int, typer.Option(help="The first picture's seed; the next ones count up.")] = 0,
    candidates: CandidatesOption = 1,
    run: RunOption = None,
    out: Annotated[Path, typer.Option(help="FILE.png for one sheet, or a folder for pictures.")] = Path("drawn.png"),
    device: DeviceOption = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="Decode fast: fp32 (the same pictures), bf16, int8 on a CPU, fp16 on a GPU."
            "  [default: the readable decoder]",
        ),
    ] = None,
    parts: PartsOption = None,
) -> None:
    """Draw captions, with the shipped weights or a run's."""
    from minidalle.cli.drawing import draw_captions
    from minidalle.cli.own_parts import own_parts

    settings = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    given = {name: value for name, value in settings.items() if value is not None}
    with own_parts(parts):
        draw_captions(captions, count, given, seed, candidates, run, out, device, precision)


def trace(
    caption: Annotated[str, typer.Argument(help="The caption to follow.")],
    run: RunOption = None,
    seed: Annotated[int, typer.Option(help="The picture's seed.")] = 0,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("trace.html"),
    device: DeviceOption = "auto",
) -> None:
    """Follow one caption through every stage, on one page. With all shapes, tokens and pictures."""
    from minidalle.cli.drawing import trace_caption

    trace_caption(caption, run, seed, out, device)


def export(
    run: Annotated[Path, typer.Option("--run", help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
) -> None:
    """Write what drawing needs in half the room, and no more. To share a model, or to keep it."""
    from minidalle.cli.drawing import export_run

    export_run(run, out)
