"""A folder of pictures with captions: every way to write them down, every kind of picture, every fault."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidalle.data import CaptionedPictures, DataConfig, foreign_pictures
from minidalle.data.foreign import decode_row
from minidalle.data.pictures import write_skipped
from minidalle.data.rows import RawRow
from minidalle.errors import InvalidValue

RED = (255, 0, 0)


@pytest.fixture(autouse=True)
def own_pictures_cache(cache: Path) -> None:
    """Every test decodes anew."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    place.mkdir()
    Image.new("RGB", (20, 10), RED).save(place / "wide.png")
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(place / "clear.png")
    Image.new("CMYK", (10, 10), (0, 255, 255, 0)).save(place / "print.jpg")
    Image.new("L", (10, 10), 7).save(place / "grey.gif")
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    Image.fromarray(noise).save(place / "broken.png")
    (place / "broken.png").write_bytes((place / "broken.png").read_bytes()[:1000])
    (place / "note.png").write_text("no picture")
    return place


def read(folder: Path, **options: str | int) -> CaptionedPictures:
    return foreign_pictures(DataConfig(str(folder), **options), 16)


def by_key(pictures: CaptionedPictures) -> dict[str, np.ndarray]:
    return dict(zip(pictures.columns["key"].tolist(), pictures.pictures, strict=True))


def some_pictures(folder: Path, names: list[str]) -> None:
    """Pictures no two of which are the same, with captions beside them."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i % 256, i // 256, len(name))).save(folder / name)
        (folder / name).with_suffix(".txt").write_text(f"number {i}")


@pytest.mark.parametrize(("table", "column"), [("captions.csv", "caption"), ("metadata.csv", "text")])
def test_captions_from_a_table(folder: Path, table: str, column: str) -> None:
    lines = [f"file_name,{column}", "wide.png, a  red band ", "clear.png,nothing", 'print.jpg,"red, printed"']
    lines += ["grey.gif,   ", "broken.png,broken", "note.png,a note", "gone.png,gone"]
    (folder / table).write_text("\n".join(lines), encoding="utf-8-sig")
    pictures = read(folder)
    assert pictures.captions == ["a red band", "nothing", "red, printed"]
    assert pictures.columns["key"].tolist() == ["wide.png", "clear.png", "print.jpg"]
    assert (pictures.pictures[0, 4:12] == RED).all()
    assert (pictures.pictures[0, :4] == 255).all()
    assert (pictures.pictures[1] == 255).all()
    assert np.abs(pictures.pictures[2].astype(int) - RED).max() <= 8
    reasons = dict(pictures.skipped)
    assert list(reasons) == ["grey.gif", "broken.png", "note.png", "gone.png"]
    assert reasons["grey.gif"] == "blank caption"
    assert "truncated" in reasons["broken.png"]
    assert reasons["note.png"] == "no picture of a known kind"
    assert reasons["gone.png"] == "No such file or directory"
    assert pictures.summary().startswith("3 pictures of 16×16; 4 skipped (grey.gif: blank caption; ")


def test_captions_from_json_lines(folder: Path) -> None:
    rows = [
        {"file_name": "wide.png", "text": ["", "red\nband", "a band"], "width": 20},
        {"file_name": "clear.png", "text": "nothing \ud800"},
        {"file_name": "grey.gif", "text": None},
        {"file_name": "print.jpg", "text": 7},
        {"text": "a caption without a picture"},
    ]
    (folder / "metadata.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    pictures = read(folder)
    assert pictures.captions == ["red band", "nothing ?"]
    assert [reason for _, reason in pictures.skipped][:2] == ["blank caption"] * 2
    assert len(pictures.skipped) == 3


def test_json_lines_end_with_line_feeds_only(folder: Path) -> None:
    rows = [
        '{"file_name": "wide.png", "text": "red\u2028\x85band"}',
        " \t",
        '{"file_name": "grey.gif", "text": "\u2029"}',
    ]
    rows.append('{"file_name": "clear.png", "text": "nothing"}')
    (folder / "metadata.jsonl").write_bytes("\r\n".join([*rows, ""]).encode())
    pictures = read(folder)
    assert pictures.captions == ["red band", "nothing"]
    assert pictures.skipped == (("grey.gif", "blank caption"),)


@pytest.mark.parametrize("odd", ["", "a\0b", "\ud800.png", "x" * 300, "clear.png/x", "?:*"])
def test_a_name_that_no_file_can_have_costs_its_row_only(folder: Path, odd: str) -> None:
    rows = [{"file_name": name, "text": "a picture"} for name in ("wide.png", odd, "clear.png")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pictures = read(folder)
    assert (len(pictures.captions), len(pictures.skipped)) == (2, 1)


def test_what_windows_says_of_folders_and_odd_names_costs_the_row_only(tmp_path: Path) -> None:
    def decoded(number: int, path: Path) -> object:
        def read() -> bytes:
            raise OSError(number, "as Windows has it", str(path))

        return decode_row(16, RawRow("odd", "a caption", read))

    assert decoded(errno.EACCES, tmp_path) == os.strerror(errno.EISDIR)
    assert decoded(errno.EINVAL, tmp_path / "?") == os.strerror(errno.EINVAL)
    with pytest.raises(InvalidValue, match="cannot be read: as Windows has it"):  # a file that may not be read
        decoded(errno.EACCES, tmp_path / "mine.png")


def test_captions_from_texts_beside_the_pictures(folder: Path) -> None:
    (folder / "wide.txt").write_text("a red band\n")
    (folder / "print.txt").write_bytes("caf\xe9".encode("latin-1"))
    (folder / "grey.txt").write_text("")
    pictures = read(folder)
    assert pictures.captions == ["caf\N{REPLACEMENT CHARACTER}", "a red band"]
    assert {name for name, _ in pictures.skipped} == {"broken.png", "clear.png", "grey.gif", "note.png"}


def test_names_that_are_not_utf_8(folder: Path) -> None:
    """As Latin-1 names are that somebody unpacked long ago: spelt out, also where the picture is skipped."""
    for name, file in ((b"caf\xe9.png", "wide.png"), (b"caf\xe8.png", "broken.png")):
        (folder / os.fsdecode(name)).write_bytes((folder / file).read_bytes())
        (folder / os.fsdecode(name)).with_suffix(".txt").write_text("a café")
    (folder / "clear.txt").write_text("nothing")
    pictures = read(folder)
    assert sorted(pictures.columns["key"]) == [r"caf\udce9.png", "clear.png"]
    assert (r"caf\udce8.png", "image file is truncated") in pictures.skipped
    write_skipped(folder / "skipped.csv", pictures.skipped)
    place = folder.rename(os.fsdecode(bytes(folder.parent) + b"/\xe9"))
    with pytest.raises(InvalidValue, match=r"/\\udce9': expected a path in UTF-8, to be noted in the run: rename it"):
        read(place)


def test_tables_in_folders_within_name_files_beside_them(tmp_path: Path) -> None:
    for place in ("cats", "dogs/small"):
        some_pictures(tmp_path / place, ["a.png", "b.png"])
        table = f"file_name,text\na.png,{place} one\nb.png,{place} two\n"
        (tmp_path / place / "metadata.csv").write_text(table)
    some_pictures(tmp_path, [".thumbnails/c.png", "__MACOSX/a.png", "._a.png"])
    pictures = read(tmp_path)
    assert dict(zip(pictures.columns["key"].tolist(), pictures.captions, strict=True)) == {
        "cats/a.png": "cats one", "cats/b.png": "cats two",
        "dogs/small/a.png": "dogs/small one", "dogs/small/b.png": "dogs/small two",
    }  # fmt: skip


def test_folders_called_train_and_validation_are_splits(tmp_path: Path) -> None:
    some_pictures(tmp_path, ["train/a.png", "train/b.png", "validation/c.png", "test/d.png"])
    pictures = read(tmp_path)
    assert pictures.columns["key"].tolist() == ["train/a.png", "train/b.png", "validation/c.png"]
    assert pictures.splits.tolist() == ["train", "train", "dev"]
    some_pictures(tmp_path, ["airplane/_MG_1.png"])  # so these are subjects, and train is one of them
    assert len(read(tmp_path)) == 5
    with pytest.raises(InvalidValue, match="split='test': expected one of the splits train"):
        read(tmp_path, split="test")


def test_every_mode_and_format(tmp_path: Path) -> None:
    left = np.zeros((9, 12, 4), np.uint8)
    left[:, :6] = (255, 0, 0, 255)  # the left half is red, the right half clear
    image = Image.fromarray(left, "RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    kinds = {"rgba.png": image, "rgba.webp": image, "la.png": image.convert("LA"), "palette.png": image.quantize(8)}
    kinds |= {"rgb.bmp": flat.convert("RGB"), "cmyk.tif": flat.convert("CMYK"), "ycc.jpg": flat.convert("RGB")}
    for name, kind in kinds.items():
        kind.save(tmp_path / name)
    grey = Image.fromarray(np.where(left[..., 3], 20000, 65535).astype(np.uint16))
    grey.save(tmp_path / "sixteen.png")
    flat.convert("1", dither=Image.Dither.NONE).save(tmp_path / "bits.png")
    frames = [flat.convert("RGB"), Image.new("RGB", (12, 9), "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    Image.new("RGB", (400, 1), RED).save(tmp_path / "line.png")
    Image.new("RGB", (1, 1), RED).save(tmp_path / "dot.png")
    Image.new("F", (9, 9)).save(tmp_path / "floats.tiff")
    for path in tmp_path.glob("*.*"):
        path.with_suffix(".txt").write_text(path.stem)
    shown = by_key(pictures := read(tmp_path))
    assert [name for name, _ in pictures.skipped] == ["floats.tiff"]
    assert len(shown) == len(kinds) + 6
    for name, picture in shown.items():
        if name not in ("line.png", "dot.png"):
            assert (picture[:2] == 255).all(), name  # twelve to nine: white above and below
            assert picture[8, 13].min() > 240, name
            assert picture[8, 2, 1] < 100, name
    assert (shown["sixteen.png"][8, 2] == 78).all()  # 20000 of 65535
    assert (shown["dot.png"] == RED).all()
    assert (shown["line.png"] == RED).all(2).sum() == 16


def test_a_photo_lies_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), "white")
    image.paste(RED, (0, 0, 16, 8))  # red on top …
    exif = Image.Exif()
    exif[0x0112] = 6  # … of a picture to be turned clockwise
    image.save(tmp_path / "photo.png", exif=exif)
    image.save(tmp_path / "upright.png")
    for name in ("photo", "upright"):
        (tmp_path / f"{name}.txt").write_text("a flag")
    assert (by_key(read(tmp_path))["photo.png"][:, 8:] == RED).all()


def test_dev_is_drawn_by_content_and_does_not_move(tmp_path: Path) -> None:
    for count in (200, 400):
        names = [f"{i:03d}.png" for i in range(count)]
        some_pictures(tmp_path, names)
        pictures = read(tmp_path)
        dev = set(pictures.columns["key"][pictures.rows("dev")].tolist())
        assert 0.04 < len(dev) / count < 0.18
        if count == 200:
            before = dev
    assert before == {name for name in dev if name < "200.png"}
    (tmp_path / "copies").mkdir()
    for name in before:
        (tmp_path / "copies" / name).write_bytes((tmp_path / name).read_bytes())
        (tmp_path / "copies" / name).with_suffix(".txt").write_text("a copy")
    pictures = read(tmp_path)
    again = set(pictures.columns["key"][pictures.rows("dev")].tolist())
    assert again == dev | {f"copies/{name}" for name in before}


@pytest.mark.parametrize("count", [2, 3, 12])
def test_a_small_set_has_a_row_to_test_and_one_to_train(tmp_path: Path, count: int) -> None:
    some_pictures(tmp_path, [f"{i}.png" for i in range(count)])
    splits = read(tmp_path).splits.tolist()
    assert set(splits) == {"train", "dev"}
    assert splits.count("dev") == 1


def test_columns_are_chosen_only_where_there_is_no_doubt(folder: Path) -> None:
    (folder / "captions.csv").write_text("file_name,title,words\nwide.png,wide,band\nclear.png,clear,nothing\n")
    with pytest.raises(InvalidValue, match=r"caption column \(--caption-column\): title and words could both be it"):
        read(folder)
    assert read(folder, caption_column="words").captions == ["band", "nothing"]
    with pytest.raises(
        InvalidValue, match="caption_column='word': expected one of the columns file_name, title, words"
    ):
        read(folder, caption_column="word")
    (folder / "captions.csv").write_text("which,text\nwide.png,wide\nclear.png,clear\n")
    with pytest.raises(InvalidValue, match=r"image_column=None: .*none of which, text is it"):
        read(folder)
    assert read(folder, image_column="which").captions == ["wide", "clear"]
    (folder / "captions.csv").write_text("file_name,text,caption\nwide.png,wide,band\n")
    with pytest.raises(InvalidValue, match="text and caption could both be it"):
        read(folder)


def test_a_folder_without_captions_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidValue, match=r"data='.*': expected captions\.csv, metadata\.csv or .*\.txt files beside"):
        read(folder)
    with pytest.raises(InvalidValue, match="subset='x': expected None"):
        read(folder, subset="x")
    with pytest.raises(InvalidValue, match=r"expected a folder, parquet or tar files, or owner/name .*no such file"):
        read(folder / "nowhere")
    (folder / "metadata.jsonl").write_text('{"file_name": "wide.png", "text": "x"}\n["wide.png"]')
    with pytest.raises(InvalidValue, match=r"metadata\.jsonl, line 2: expected a JSON object"):
        read(folder)
    (folder / "metadata.csv").write_bytes("file_name,text\nwide.png,caf\xe9".encode("latin-1"))
    with pytest.raises(InvalidValue, match=r"metadata\.csv: expected a table in UTF-8"):
        read(folder)


def test_a_folder_of_nothing_but_bad_pictures_is_refused_and_says_why(folder: Path, cache: Path) -> None:
    (folder / "captions.csv").write_text("file_name,caption\nnote.png,a note\nwide.png,wide\n")
    with pytest.raises(InvalidValue, match=r"1 of 2 rows can be used \(note\.png: no picture of a known kind\)"):
        read(folder)
    assert not list(cache.iterdir())


def test_pictures_without_columns_have_no_tones(tmp_path: Path) -> None:
    some_pictures(tmp_path, ["a.png", "b.png"])
    assert read(tmp_path).toned.tolist() == [False, False]
