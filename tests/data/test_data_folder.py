from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidalle.data import picture_folder
from minidalle.errors import InvalidValue

RED = (255, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (20, 10), RED).save(tmp_path / "wide.png")
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("CMYK", (10, 10), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    Image.new("L", (10, 10), 7).save(tmp_path / "grey.gif")
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "broken.png").read_bytes()[:1000])
    (tmp_path / "note.png").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize(("table", "column"), [("captions.csv", "caption"), ("metadata.csv", "text")])
def test_captions_from_a_table(folder: Path, table: str, column: str) -> None:
    lines = [f"file_name,{column}", "wide.png, a red band ", "clear.png,nothing", 'print.jpg,"red, printed"']
    lines += ["grey.gif,   ", "broken.png,broken", "note.png,a note", "gone.png,gone"]
    (folder / table).write_text("\n".join(lines), encoding="utf-8-sig")
    pictures = picture_folder(folder, 16)
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
    assert "cannot identify" in reasons["note.png"]
    assert pictures.summary().startswith("3 pictures of 16×16; 4 skipped (grey.gif: blank caption; ")


def test_captions_from_texts_beside_the_pictures(folder: Path) -> None:
    (folder / "wide.txt").write_text("a red band\n")
    (folder / "grey.txt").write_text("")
    pictures = picture_folder(folder, 16)
    assert pictures.captions == ["a red band"]
    assert {name for name, _ in pictures.skipped} == {
        "broken.png",
        "clear.png",
        "grey.gif",
        "note.png",
        "print.jpg",
    }


def test_a_photo_lies_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), "white")
    image.paste(RED, (0, 0, 16, 8))  # red on top …
    exif = Image.Exif()
    exif[0x0112] = 6  # … of a picture to be turned clockwise
    image.save(tmp_path / "photo.png", exif=exif)
    (tmp_path / "photo.txt").write_text("a flag")
    assert (picture_folder(tmp_path, 16).pictures[0, :, 8:] == RED).all()


def test_dev_is_drawn_by_name_and_does_not_move(tmp_path: Path) -> None:
    for count in (100, 200):
        names = [f"{i:03d}.png" for i in range(count)]
        for name in names:
            Image.new("RGB", (8, 8), RED).save(tmp_path / name)
        (tmp_path / "captions.csv").write_text("\n".join(["file_name,caption", *(f"{name},red" for name in names)]))
        pictures = picture_folder(tmp_path, 8, dev=0.2)
        dev = set(pictures.columns["key"][pictures.rows("dev")].tolist())
        assert 0.1 < len(dev) / count < 0.3
        if count == 100:
            before = dev
    assert before == {name for name in dev if name < "100.png"}


def test_pictures_without_columns_have_no_tones(folder: Path) -> None:
    (folder / "wide.txt").write_text("a red band")
    assert picture_folder(folder, 16).toned.tolist() == [False]


def test_a_folder_without_captions_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidValue, match=r"expected captions\.csv or metadata\.csv, or a \.txt"):
        picture_folder(folder, 16)
    (folder / "captions.csv").write_text("picture,words\n")
    with pytest.raises(InvalidValue, match="expected file_name, and caption or text"):
        picture_folder(folder, 16)
    with pytest.raises(InvalidValue, match="expected a folder"):
        picture_folder(folder / "nowhere", 16)


def test_a_folder_of_nothing_but_bad_pictures_is_empty_not_fatal(folder: Path) -> None:
    (folder / "captions.csv").write_text("file_name,caption\nnote.png,a note\n")
    pictures = picture_folder(folder, 16)
    assert len(pictures) == 0
    assert len(pictures.skipped) == 1
    with pytest.raises(InvalidValue, match="no rows"):
        pictures.rows("train")
