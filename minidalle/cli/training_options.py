"""The options of commands that train."""

from pathlib import Path
from typing import Annotated

import typer

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another setting of the stage, such as accumulate=4; repeatable."),
]
PartsOption = Annotated[
    Path | None,
    typer.Option(
        "--parts",
        metavar="DIR",
        help="Use your own functions from the notebooks in DIR, those that pass their check. Their code is run.",
    ),
]
