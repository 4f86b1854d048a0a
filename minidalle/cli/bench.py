"""`minidalle bench`: how fast this machine does it, beside others in the same run. Imports nothing before it runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(
    help="Measure speed on this machine. Ours and other people's, in one run.",
    rich_markup_mode=None,
)

ShapeName = StrEnum("ShapeName", ["mini", "mega", "shipped"])
TrainedShape = StrEnum("TrainedShape", ["tiny", "cpu", "gpu", "mini"])


def help_alone(context: typer.Context) -> None:
    """Show what commands there are if none was given; that is no mistake."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


@bench.callback(invoke_without_command=True)
def measure(context: typer.Context) -> None:
    """Measure speed on this machine. Ours and other people's, in one run."""
    help_alone(context)


@bench.command(epilog="Example: minidalle bench decode --shape mini --pictures 1 --peers")
def decode(
    shape: Annotated[
        ShapeName, typer.Option(help="Sizes of the published models, or of the shipped one.")
    ] = ShapeName.mini,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    pictures: Annotated[int, typer.Option(min=1, help="Pictures drawn at once, with guidance.")] = 1,
    tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Image tokens to draw of each picture, the same for every decoder.  [default: 16 on a CPU, else 64]",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Repetitions; the median is reported.")] = 3,
    peers: Annotated[bool, typer.Option(help="Time min-dalle and transformers too, where they are installed.")] = True,
    compiled: Annotated[bool, typer.Option(help="On a GPU, time torch.compile's code too; half a minute more.")] = True,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, too.")] = None,
) -> None:
    """Time how image tokens are drawn, with random weights. Exit code 1: logits were further off than stated."""
    from minidalle.cli.speeds import show_decoding

    raise typer.Exit(show_decoding(shape.value, device, pictures, tokens, runs, compiled, peers, json))


@bench.command(epilog="Example: minidalle bench train --shape cpu --runs 5")
def train(
    shape: Annotated[TrainedShape, typer.Option(help="A preset's BART; mini is the published one.")] = TrainedShape.cpu,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures of a step.  [default: by shape]")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps in each repetition.  [default: 1 on a CPU, else 5]")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Repetitions; the median is reported.")] = 3,
    peers: Annotated[bool, typer.Option(help="Time transformers and taming-transformers, where installed.")] = True,
    compiled: Annotated[
        bool | None, typer.Option(help="Time torch.compile's code; minutes more on a CPU.  [default: on a GPU]")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, too.")] = None,
) -> None:
    """Time training steps on made-up batches. Exit code 1: gradients were further off than stated.

    taming-transformers is found if its code is: pip install --no-deps taming-transformers-rom1504 einops
    """
    from minidalle.cli.training_speeds import show_training

    raise typer.Exit(show_training(shape.value, device, batch, steps, runs, compiled, peers, json))


@bench.command(epilog="Example: minidalle bench scaling --out scaling.png")
def scaling(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    runs: Annotated[int, typer.Option(min=1, help="Repetitions; the median is reported.")] = 5,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, too.")] = None,
) -> None:
    """Measure how time and memory grow with each size. With batch, tokens, width, data, drawings at once, and ranks."""
    from minidalle.cli.scaling import show_scaling

    show_scaling(device, runs, out, json)
