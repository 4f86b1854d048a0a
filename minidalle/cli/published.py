"""`minidalle import`: published weights become a run."""

from pathlib import Path
from typing import Annotated

import typer


def import_published(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder, or owner/name on the Hugging Face Hub.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    vqgan: Annotated[
        str | None, typer.Option("--vqgan", metavar="SOURCE", help="Where the VQGAN is, if it is not there too.")
    ] = None,
    clip: Annotated[
        str | None, typer.Option("--clip", metavar="SOURCE", help="A CLIP of transformers, to choose among drawings.")
    ] = None,
    mini: Annotated[bool, typer.Option("--mini", help="Of two models in one place, take the small one.")] = False,
) -> None:
    """Make a run of weights that others published.

    DALL·E mini or mega, a VQGAN, a classic BART: see docs/published-weights.md.
    """
    from minidalle.cli.places import require_folder
    from minidalle.published import import_weights

    require_folder(out)
    for line in import_weights(source, out, vqgan, clip, mini):
        print(line)
    print(f"Written: {out}")
