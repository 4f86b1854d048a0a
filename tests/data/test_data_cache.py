import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minidalle.data import cache as cache_module
from minidalle.data import emoji_pictures
from minidalle.data.cache import cache_folder, cached_pictures, render_all
from minidalle.data.pictures import Skipped

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1H0z" fill="#{:06x}"/></svg>'
SQUARES = [(f"square {color}", SQUARE.format(color)) for color in range(300)]
BROKEN = ("broken", "<svg")


def colors(pictures: np.ndarray) -> list[int]:
    """The color of each square, as the number that it was drawn with."""
    return (pictures[:, 0, 0].astype(int) @ [65536, 256, 1]).tolist()


@pytest.fixture
def no_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(cache_module, "render_all", refuse)


def test_pictures_are_kept_in_the_folder_that_the_user_names(cache: Path) -> None:
    cached_pictures("squares", SQUARES[:3], 8)
    assert cache_folder() == cache
    assert sorted(os.listdir(cache)) == ["squares-8px.json", "squares-8px.npy"]


def test_without_a_name_it_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_CACHE", "")
    assert cache_folder().is_absolute()
    assert "minidalle" in cache_folder().parts


def test_pictures_are_read_only_maps_and_rendered_once(cache: Path, request: pytest.FixtureRequest) -> None:
    first, _ = cached_pictures("squares", SQUARES[:20], 8)
    request.getfixturevalue("no_rendering")
    second, skipped = cached_pictures("squares", SQUARES[:20], 8)
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert np.array_equal(first, second)
    assert skipped == []
    with pytest.raises(AssertionError, match="rendered again"):
        cached_pictures("squares", SQUARES[:20], 16)


def test_many_drawings_are_drawn_by_many_processes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "CHUNK", 20)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    told: list[tuple[int, int]] = []
    drawings = [*SQUARES[:150], BROKEN, *SQUARES[150:]]
    pictures, skipped = render_all(drawings, 8, lambda done, total: told.append((done, total)))
    assert colors(pictures) == list(range(300))
    assert [name for name, _ in skipped] == ["broken"]
    assert told == [(done, 301) for done in (*range(20, 301, 20), 301)]


def test_a_script_without_a_main_guard_still_gets_its_pictures(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from minidalle.data import cache\n"
        "print('started')\n"
        "cache.CHUNK = 2\n"
        f"print('squares:', len(cache.render_all({SQUARES[:20]!r}, 8)[0]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("started\nsquares: 20\n", "")  # its workers did not run it again


def test_what_cannot_be_drawn_is_listed_and_remembered(cache: Path, request: pytest.FixtureRequest) -> None:
    drawings = [SQUARES[1], BROKEN, SQUARES[2]]
    pictures, skipped = cached_pictures("squares", drawings, 8)
    assert colors(pictures) == [1, 2]
    request.getfixturevalue("no_rendering")
    again, skipped_again = cached_pictures("squares", drawings, 8)
    assert colors(again) == [1, 2]
    assert skipped == skipped_again == [Skipped("broken", skipped[0].reason)]


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("length", [0, 5, -7])
def test_a_file_that_was_cut_off_is_rendered_again(cache: Path, suffix: str, length: int) -> None:
    cached_pictures("squares", [*SQUARES[:20], BROKEN], 8)
    path = cache / f"squares-8px{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    pictures, skipped = cached_pictures("squares", [*SQUARES[:20], BROKEN], 8)
    assert colors(pictures) == list(range(20))
    assert [name for name, _ in skipped] == ["broken"]
    assert path.read_bytes() == whole


def test_pictures_of_another_number_or_type_are_rendered_again(cache: Path) -> None:
    cached_pictures("squares", SQUARES[:20], 8)
    np.save(cache / "squares-8px.npy", np.zeros((19, 8, 8, 3), np.uint8))
    assert colors(cached_pictures("squares", SQUARES[:20], 8)[0]) == list(range(20))
    np.save(cache / "squares-8px.npy", np.zeros((20, 8, 8, 3), np.float32))
    assert colors(cached_pictures("squares", SQUARES[:20], 8)[0]) == list(range(20))
    (cache / "squares-8px.json").write_text(json.dumps({"no": "list"}))
    assert colors(cached_pictures("squares", SQUARES[:20], 8)[0]) == list(range(20))


def test_a_cache_that_cannot_be_written_is_said_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MINIDALLE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="MINIDALLE_CACHE"):
        pictures, _ = cached_pictures("squares", SQUARES[:5], 8)
    assert colors(pictures) == list(range(5))


KILLED = """
import os
import signal
import numpy as np
from minidalle.data import cache
from tests_squares import SQUARES

def save_half(path, pictures):
    path.write_bytes(pictures.tobytes()[:100])
    os.kill(os.getpid(), signal.SIGKILL)

cache._save = save_half
cache.cached_pictures("squares", SQUARES, 8)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_kill_while_writing_leaves_no_half_file(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "tests_squares.py").write_text(f"SQUARES = {SQUARES[:20]!r}")
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    assert subprocess.run([sys.executable, script]).returncode == -9
    assert not (cache / "squares-8px.npy").exists()
    assert colors(cached_pictures("squares", SQUARES[:20], 8)[0]) == list(range(20))


def test_two_processes_may_render_at_once(cache: Path, tmp_path: Path, small) -> None:
    small.write()
    script = tmp_path / "script.py"
    script.write_text(
        "from hashlib import sha256\nfrom pathlib import Path\nfrom minidalle.data import emoji_pictures\n"
        f"small = emoji_pictures(16, Path({str(small.parquet)!r}), Path({str(small.partition)!r}))\n"
        "print(len(small), sha256(small.pictures.tobytes()).hexdigest())\n"
    )
    both = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert said[0] == said[1]
    assert said[0].startswith("30 ")
    assert len(os.listdir(cache)) == 2
    assert len(emoji_pictures(16, small.parquet, small.partition)) == 30
