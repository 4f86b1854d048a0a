"""`minidalle encode`: pictures become tokens on disk, once and for all."""

from pathlib import Path
from typing import Annotated

import typer

from minidalle.cli.data_options import CaptionColumnOption, ImageColumnOption, MostOption, SubsetOption
from minidalle.cli.model_options import DeviceOption

TokensOption = Annotated[
    Path | None,
    typer.Option(
        "--tokens", metavar="DIR", help="Train the BART on what minidalle encode wrote: see docs/large-data.md."
    ),
]


def encode_pictures(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder with captions, parquet or tar files, or owner/name.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to; all shards may share it.")],
    run: Annotated[
        Path | None, typer.Option("--run", help="Whose tokenizer and VQGAN; without: those that are shipped.")
    ] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Encode the share of machine I of N, counted from 0.")
    ] = "0/1",
    device: DeviceOption = "auto",
    split: Annotated[
        str | None,
        typer.Option("--data-split", help="The split of SOURCE to encode, with that for validation.  [default: train]"),
    ] = None,
    subset: SubsetOption = None,
    image_column: ImageColumnOption = None,
    caption_column: CaptionColumnOption = None,
    most: MostOption = None,
) -> None:
    """Encode a large set of pictures to tokens, once for all.

    For `train bart --tokens`: see docs/large-data.md.

    What was stopped or killed goes on where it was: give the same command again.
    """
    from minidalle.cli.encoding import show_encoding
    from minidalle.data import DataConfig
    from minidalle.errors import known_as

    with known_as("SOURCE", field="data"):
        show_encoding(DataConfig(source, split, subset, image_column, caption_column, most), run, out, shard, device)
