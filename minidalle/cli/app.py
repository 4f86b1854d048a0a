"""The commands and their options. Each one imports what it needs when it is called."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from minidalle import __version__

app = typer.Typer(
    help="DALL·E mini, built from scratch: train a small one, draw with it, look inside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PresetName = StrEnum("PresetName", ["tiny", "baseline", "cpu", "gpu", "dalle-mini", "dalle-mega"])
StageName = StrEnum("StageName", ["tokenizer", "vqgan", "bart"])

PresetOption = Annotated[PresetName, typer.Option("--preset", help="Sizes and settings; see the README.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the run.  [default: runs/PRESET]")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps …")]
RanksOption = Annotated[int, typer.Option("--ranks", min=0, help="Processes that train together; 0: as pay here.")]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of a finished run.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"minidalle {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """DALL·E mini, built from scratch: train a small one, draw with it, look inside."""


@app.command(epilog="Example: minidalle run --preset cpu")
def run(
    preset: PresetOption = PresetName.cpu,
    out: OutOption = None,
    device: DeviceOption = "auto",
    ranks: RanksOption = 0,
) -> None:
    """Train tokenizer, VQGAN and BART on the bundled emoji, and draw captions they have never seen.

    A run that was stopped goes on where it was: give the same command again.
    """
    from minidalle.cli.training import run_stages

    run_stages(preset.value, out, device, ranks, ("tokenizer", "vqgan", "bart"))


@app.command(epilog="Example: minidalle train vqgan --preset tiny --out runs/mine")
def train(
    stage: Annotated[StageName, typer.Argument(help="What to train; the stages before it must be there.")],
    preset: PresetOption = PresetName.cpu,
    out: OutOption = None,
    device: DeviceOption = "auto",
    ranks: RanksOption = 0,
) -> None:
    """Train one stage of a run."""
    from minidalle.cli.training import run_stages

    run_stages(preset.value, out, device, ranks, (stage.value,))


@app.command(
    epilog='Example: minidalle generate "red apple, noto style" "cat face, twemoji style" -n 4 --out apples.png'
)
def generate(
    captions: Annotated[list[str], typer.Argument(metavar="CAPTION…", help="What to draw.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Pictures per caption.")] = 1,
    guidance: Annotated[float | None, typer.Option(help="How hard to follow the caption; 1: as trained.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Below 1: likelier pictures; 0: the likeliest.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest tokens only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the likeliest tokens of this share only.")] = None,
    seed: Annotated[int, typer.Option(help="The first picture's seed; the next ones count up.")] = 0,
    run: RunOption = Path("runs/cpu"),
    out: Annotated[Path, typer.Option(help="FILE.png for one sheet, or a folder for single pictures.")] = Path(
        "drawn.png"
    ),
    device: DeviceOption = "auto",
) -> None:
    """Draw captions with a trained run."""
    from minidalle.cli.drawing import draw_captions

    settings = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    draw_captions(captions, count, {k: v for k, v in settings.items() if v is not None}, seed, run, out, device)


@app.command(epilog='Example: minidalle trace "woman firefighter, noto style"')
def trace(
    caption: Annotated[str, typer.Argument(help="The caption to follow.")],
    run: RunOption = Path("runs/cpu"),
    seed: Annotated[int, typer.Option(help="The picture's seed.")] = 0,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("trace.html"),
    device: DeviceOption = "auto",
) -> None:
    """Follow one caption through every stage, on one page: shapes, tokens and pictures."""
    from minidalle.cli.drawing import trace_caption

    trace_caption(caption, run, seed, out, device)


@app.command()
def doctor() -> None:
    """Check this machine and installation; each trouble comes with a line that mends it."""
    from minidalle.cli.doctor import examine

    raise typer.Exit(examine())
