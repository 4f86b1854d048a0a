"""A small set of pictures in tar files, some of them corrupt, and a run that can encode it.

`python encoding_world.py FOLDER ARGUMENT…` is the command line, slowed down, with parts of sixteen rows.
"""

import io
import sys
import tarfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from training_recipes import tiny

from minidalle.data import DataConfig
from minidalle.tokenization import Tokenizer
from minidalle.training.codec import Codec, save_codec
from minidalle.vqgan import VQGAN

ROWS, PART_ROWS = 150, 16
CORRUPT = {5: b"junk", 40: b"", 77: None, 100: b"\x89PNG\r\n"}  # None: the file is not there
SIZES = ((16, 16), (20, 12), (16, 16), (9, 30))
COLORS = ("red", "green", "blue", "black", "orange")


def picture(row: int) -> bytes:
    """A few colored boxes, as a PNG; the same for the same row."""
    chance = np.random.default_rng(row)
    width, height = SIZES[row % len(SIZES)]
    boxes = np.full((height, width, 3), 255, np.uint8)
    for _ in range(3):
        top, left = chance.integers(0, height - 4), chance.integers(0, width - 4)
        boxes[top : top + 6, left : left + 6] = chance.integers(0, 255, 3)
    file = io.BytesIO()
    Image.fromarray(boxes).save(file, "PNG")
    return file.getvalue()


def write_source(folder: Path, rows: range = range(ROWS)) -> DataConfig:
    """Webdataset files of sixty rows, four of them corrupt and one without a caption."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(rows.start, rows.stop, 60):
        with tarfile.open(folder / f"{start:05d}.tar", "w") as archive:
            for row in range(start, min(rows.stop, start + 60)):
                caption = f"{COLORS[row % 5]} boxes no. {row}, boxed style" if row != 111 else " "
                files = {"png": CORRUPT.get(row, picture(row)), "txt": caption.encode()}
                for ending, content in files.items():
                    if content is not None:
                        member = tarfile.TarInfo(f"{row:06d}.{ending}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
    return DataConfig(str(folder))


def write_others(folder: Path, rows: range) -> dict[str, DataConfig]:
    """The same rows as a folder with a table, as a parquet file and as a compressed tar file."""
    (folder / "table").mkdir(parents=True)
    good = [row for row in rows if row not in CORRUPT]
    captions = {row: f"{COLORS[row % 5]} boxes no. {row}, boxed style" for row in good}
    for row in good:
        (folder / "table" / f"{row}.png").write_bytes(picture(row))
    lines = ["file_name,caption", *(f'{row}.png,"{words}"' for row, words in captions.items())]
    (folder / "table" / "captions.csv").write_text("\n".join(lines))
    cells = [{"bytes": picture(row), "path": f"{row}.png"} for row in good]
    pq.write_table(pa.table({"image": cells, "caption": list(captions.values())}), folder / "all.parquet")
    with tarfile.open(folder / "all.tar.gz", "w:gz") as archive:
        for row in good:
            for ending, content in (("png", picture(row)), ("txt", captions[row].encode())):
                member = tarfile.TarInfo(f"{row}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return {name: DataConfig(str(folder / name)) for name in ("table", "all.parquet", "all.tar.gz")}


def write_run(folder: Path, seed: int = 0) -> Codec:
    """A tokenizer and a VQGAN with random weights, whose codes lie as far apart as its latents."""
    torch.manual_seed(seed)
    vqgan = VQGAN(tiny().vqgan).eval()
    with torch.no_grad():
        vqgan.quantize.codebook.mul_(64)
    tokenizer = Tokenizer.train([f"{color} boxes no. {n}, boxed style" for n, color in enumerate(COLORS)],
                                tiny().tokenizer)  # fmt: skip
    codec = Codec(tokenizer, vqgan)
    save_codec(codec, folder)
    return codec


def files(folder: Path, pattern: str = "part-*") -> dict[str, bytes]:
    """What is in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


def main() -> None:
    """The command line, in which each batch takes a tenth of a second and is said."""
    import minidalle.cli
    import minidalle.cli.encoding as encoding

    class Slow:
        def __init__(self, console: object) -> None:
            self.bar, self.say = encoding.Progress(disable=True), print

        def __call__(self, done: encoding.Encoded) -> None:
            print("encoded", done.rows, done.total, flush=True)
            time.sleep(0.1)

    encoding.EncodingWatcher = Slow  # type: ignore[misc, assignment]
    encoding.encode_share = partial(encoding.encode_share, part_rows=PART_ROWS)  # type: ignore[assignment]
    minidalle.cli.main()


if __name__ == "__main__":
    main()
    sys.exit()
