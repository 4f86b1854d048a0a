"""The options of commands that work with a trained model."""

from pathlib import Path
from typing import Annotated

import typer

RunOption = Annotated[
    Path | None, typer.Option("--run", help="Folder of a finished run; without: the shipped weights.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps …")]
CandidatesOption = Annotated[
    int,
    typer.Option(
        "--candidates",
        min=1,
        help="Draw so many of each picture; the reranker (the run's, else the shipped one) keeps one.",
    ),
]
