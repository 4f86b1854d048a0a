"""The commands and their options. Each one imports what it needs when it is called."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from minidalle import __version__
from minidalle.cli.bench import bench, help_alone
from minidalle.cli.data_options import CaptionColumnOption, ImageColumnOption, MostOption, SplitOption, SubsetOption
from minidalle.cli.encode import TokensOption, encode_pictures
from minidalle.cli.generate import export, generate, trace
from minidalle.cli.model_options import CandidatesOption, DeviceOption, RunOption
from minidalle.cli.published import import_published
from minidalle.cli.training_options import PartsOption, SetOption

app = typer.Typer(
    help="DALL·E mini, built from scratch: train a small one, draw with it, look inside.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(bench, name="bench")

PresetName = StrEnum("PresetName", "tiny baseline cpu shipped gpu gpu-128 dalle-mini dalle-mega")
StageName = StrEnum("StageName", ["tokenizer", "vqgan", "bart", "reranker", "scorer"])

PresetOption = Annotated[PresetName, typer.Option("--preset", help="Sizes and settings; see the README.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder of the run.  [default: runs/PRESET, with --data runs/PRESET-NAME; -SEED, if not 0]"
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of every random draw: another seed is another run.")]
RanksOption = Annotated[
    int, typer.Option("--ranks", min=0, help="Processes that train together; 0: as many as are fastest here.")
]
ShardOption = Annotated[bool, typer.Option("--shard-model", help="BART: split it over the ranks, to save memory.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="Train on these pictures instead of the emoji: a folder with captions, parquet or tar files, or owner/name"
        " of a data set on the Hugging Face Hub. See docs/your-own-pictures.md.",
    ),
]


def _version(asked: bool) -> None:
    if asked:
        print(f"minidalle {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """DALL·E mini, built from scratch: train a small one, draw with it, look inside."""
    help_alone(context)


@app.command(epilog="Example: minidalle run --preset cpu, or on your own pictures: minidalle run --data my_pictures/")
def run(
    preset: PresetOption = PresetName.cpu,
    out: OutOption = None,
    device: DeviceOption = "auto",
    ranks: RanksOption = 0,
    seed: SeedOption = 0,
    data: DataOption = None,
    split: SplitOption = None,
    subset: SubsetOption = None,
    image_column: ImageColumnOption = None,
    caption_column: CaptionColumnOption = None,
    most: MostOption = None,
    parts: PartsOption = None,
) -> None:
    """Train tokenizer, VQGAN and BART, and draw unseen captions.

    On the bundled emoji, or your own pictures. A run that was stopped goes on where it was: give the same command
    again.
    """
    from minidalle.cli.own_parts import own_parts
    from minidalle.cli.training import data_asked_for, run_stages

    pictures = data_asked_for(data, split=split, subset=subset, image_column=image_column,
                              caption_column=caption_column, most=most)  # fmt: skip
    with own_parts(parts) as (block, ids):
        run_stages(preset.value, out, device, ranks, seed, ("tokenizer", "vqgan", "bart"), pictures, block, ids)


@app.command(epilog="Example: minidalle train vqgan --preset tiny --out runs/mine")
def train(
    stage: Annotated[StageName, typer.Argument(help="What to train; the stages before it must be there.")],
    preset: PresetOption = PresetName.cpu,
    out: OutOption = None,
    device: DeviceOption = "auto",
    ranks: RanksOption = 0,
    seed: SeedOption = 0,
    data: DataOption = None,
    split: SplitOption = None,
    subset: SubsetOption = None,
    image_column: ImageColumnOption = None,
    caption_column: CaptionColumnOption = None,
    most: MostOption = None,
    shard_model: ShardOption = False,
    tokens: TokensOption = None,
    settings: SetOption = None,
) -> None:
    """Train one stage of a run."""
    from minidalle.cli.training import data_asked_for, run_stages

    pictures = data_asked_for(data, split=split, subset=subset, image_column=image_column,
                              caption_column=caption_column, most=most)  # fmt: skip
    run_stages(preset.value, out, device, ranks, seed, (stage.value,), pictures, shard=shard_model, tokens=tokens,
               asked=settings or ())  # fmt: skip


app.command(
    epilog='Example: minidalle generate "red apple, noto style" "cat face, twemoji style" -n 4 --out apples.png'
)(generate)
app.command(epilog="Example: minidalle export --run runs/cpu --out my-model")(export)
app.command("encode", epilog="Example: minidalle encode 'shards/*.tar' --out tokens --shard 0/4")(encode_pictures)
app.command("import", epilog="Example: minidalle import kuprel/min-dalle --mini --out runs/mini")(import_published)
app.command(epilog='Example: minidalle trace "woman firefighter, noto style"')(trace)


@app.command(epilog="Example: minidalle evaluate --run runs/cpu")
def evaluate(
    run: RunOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder to write to.  [default: RUN/evaluation; without --run: evaluation]"),
    ] = None,
    every_row: Annotated[bool, typer.Option("--all", help="All held-out rows, not 200 of each split.")] = False,
    candidates: CandidatesOption = 1,
    device: DeviceOption = "auto",
) -> None:
    """Measure a run beside its baselines. Tables, a JSON file, and pages of pictures."""
    from minidalle.cli.evaluation import evaluate_run

    evaluate_run(run, out, every_row, candidates, device)


@app.command(epilog="Example: minidalle gap --run runs/cpu --splits iid,concept")
def gap(
    run: RunOption = None,
    splits: Annotated[
        str | None, typer.Option("--splits", metavar="NAMES", help="Held-out splits, with commas.  [default: all]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to.  [default: RUN/gap; without --run: gap]")
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=2, help="Rows of each split; half as many captions are drawn.")
    ] = 200,
    curvature: Annotated[bool, typer.Option(help="Measure how the training loss bends, too.")] = True,
    device: DeviceOption = "auto",
) -> None:
    """Measure how well a run generalizes. Gaps, copies and curvature, as a table, a JSON file and a page."""
    from minidalle.cli.gap import measure_gap

    measure_gap(run, splits, out, rows, curvature, device)


@app.command()
def doctor() -> None:
    """Check this machine and installation. Each trouble comes with a line that mends it."""
    from minidalle.cli.doctor import examine

    raise typer.Exit(examine())


@app.command(epilog="Example: minidalle build 01-tokenization")
def build(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LESSON]…", help="Lessons to build: 01-tokenization, 01 …; without: all."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say what a new build would change.")] = False,
    course: Annotated[
        Path | None,
        typer.Option(
            "--course", metavar="FILE", help="A course.toml; what is built is put beside it.  [default: the one here]"
        ),
    ] = None,
) -> None:
    """Make lessons' notebooks from lesson.py and the package. Those of the instructor, and those of students."""
    from minidalle.cli.authoring import build_lessons

    raise typer.Exit(build_lessons(lessons or [], check, course))


@app.command(epilog="Example: minidalle start my-course")
def start(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Your own folder; made, if it is not there.")],
    update: Annotated[
        bool, typer.Option("--update", help="Add what is new, refresh what you have not edited, touch nothing else.")
    ] = False,
) -> None:
    """Copy the lessons into a folder of your own."""
    from minidalle.cli.authoring import start_lessons

    start_lessons(folder, update)


@app.command(epilog="Example: minidalle check 01-tokenization/tokenization.ipynb tokenization.encode")
def check(
    path: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="A notebook, a folder with some, or FILE.py.")],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="Exercises to check; without: all that it asks for.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too, for GitHub Classroom.")
    ] = None,
) -> None:
    """Check your answers without Jupyter. Exit code 0: all passed; 1: some did not; 2: something cannot be read."""
    from minidalle.cli.course import check_files

    raise typer.Exit(check_files(path, ids or [], junit))


@app.command()
def progress() -> None:
    """Show which exercises you tried and passed, and your points."""
    from minidalle.cli.course import show_progress

    raise typer.Exit(show_progress())


@app.command(epilog="Example: minidalle show tokenization.encode")
def show(exercise: Annotated[str, typer.Argument(metavar="ID", help="An exercise that you have tried.")]) -> None:
    """Show the course's solution of what you have tried."""
    from minidalle.cli.course import show_solution

    raise typer.Exit(show_solution(exercise))
