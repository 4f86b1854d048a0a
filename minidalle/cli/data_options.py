"""The options of commands that read other people's pictures."""

from typing import Annotated

import typer

SplitOption = Annotated[str | None, typer.Option("--data-split", help="The split of SOURCE to train on.")]
SubsetOption = Annotated[str | None, typer.Option("--data-subset", help="The configuration of a Hub data set.")]
ImageColumnOption = Annotated[str | None, typer.Option("--image-column", help="The column of SOURCE with pictures.")]
CaptionColumnOption = Annotated[str | None, typer.Option("--caption-column", help="The column with captions.")]
MostOption = Annotated[int | None, typer.Option("--most", help="Read at most so many rows of each split.")]
