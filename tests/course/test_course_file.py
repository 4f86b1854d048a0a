"""course.toml: what it changes, and what is said of what it cannot."""

import inspect
from pathlib import Path

import pytest

from minidalle.course.building.course_file import Course, find_course, read_course
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES

OWN = '''
"""Exercises of my own."""

from minidalle.exercises.exercise import Exercise
from minidalle.exercises.tokenization.encode import EXERCISE as THEIRS  # not mine


def count_vowels(text: str) -> int:
    """How many vowels a text has: "banana" → 3."""
    return sum(character in "aeiou" for character in text)


def cases(seed):
    return [{"text": ""}, {"text": "banana"}]


def counts_one_too_many(text):
    """Begin with 0."""
    return count_vowels(text) + 1


def counts_consonants(text):
    """Vowels, not the others."""
    return len(text) - count_vowels(text)


def counts_different_ones(text):
    """Each time counts."""
    return len(set(text) & set("aeiou"))


def counts_all(text):
    """Only vowels."""
    return len(text)


def with_a_loop(text):
    """Right."""
    return len([one for one in text if one in "aeiou"])


def with_count(text):
    """Right."""
    return sum(text.count(vowel) for vowel in "aeiou")


COUNT = Exercise(
    id="mine.count_vowels", points=2, minutes=5, stars=1, reference=count_vowels, cases=cases,
    wrong=(counts_one_too_many, counts_consonants, counts_different_ones, counts_all),
    also_right=(with_a_loop, with_count), hints=("a", "b", "c"), reaches="nothing",
)
SAME = COUNT
'''

COURSE = """
title = "Deep learning 2"
leave_out = ["tokenization.decode"]
exercises = ["mine/count_vowels.py"]
[points]
"tokenization.encode" = 7
"mine.count_vowels" = 3
"""


def course_in(folder: Path, text: str = COURSE, own: str = OWN) -> Path:
    (folder / "mine").mkdir(parents=True, exist_ok=True)
    (folder / "mine" / "count_vowels.py").write_text(own, encoding="utf-8")
    (folder / "course.toml").write_text(text, encoding="utf-8")
    return folder / "course.toml"


def test_without_a_file_the_course_is_the_packages(tmp_path: Path) -> None:
    course = find_course(tmp_path)
    assert course == Course(dict(EXERCISES))
    course.exercises.clear()
    assert find_course(tmp_path).exercises


def test_a_course(tmp_path: Path) -> None:
    course_in(tmp_path)
    deep = tmp_path / "lessons" / "01"
    deep.mkdir(parents=True)
    course = find_course(deep)
    assert course.title == "Deep learning 2"
    assert course.folder == tmp_path.resolve()
    assert [*course.exercises] == [*(id for id in EXERCISES if id != "tokenization.decode"), "mine.count_vowels"]
    assert course.points["tokenization.encode"] == course.exercises["tokenization.encode"].points == 7
    assert course.points["mine.count_vowels"] == 3
    assert course.points["tokenization.merge_pair"] == EXERCISES["tokenization.merge_pair"].points
    assert EXERCISES["tokenization.encode"].points != 7  # the package's own stays
    assert course.own == {"mine.count_vowels"}
    assert course.left_out == {"tokenization.decode": EXERCISES["tokenization.decode"]}
    assert course.repriced == {"tokenization.encode", "mine.count_vowels"}
    own = course.exercises["mine.count_vowels"]
    assert own.reference("banana") == 3
    assert "sum(character in" in inspect.getsource(own.reference)


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    course_in(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "course.toml").write_text('title = "Inner"')
    assert find_course(tmp_path / "inner").title == "Inner"
    assert find_course(tmp_path).title == "Deep learning 2"


def test_files_of_one_name_are_two(tmp_path: Path) -> None:
    course_in(tmp_path, 'exercises = ["mine/count_vowels.py", "yours/count_vowels.py"]')
    (tmp_path / "yours").mkdir()
    renamed = OWN.replace("count_vowels", "count_marks").replace("aeiou", ".,!")
    (tmp_path / "yours" / "count_vowels.py").write_text(renamed)
    course = find_course(tmp_path)
    assert course.own == {"mine.count_vowels", "mine.count_marks"}
    assert len({course.exercises[id].reference.__module__ for id in course.own}) == 2
    assert course.exercises["mine.count_marks"].reference("a, b!") == 2
    assert course.exercises["mine.count_vowels"].reference("a, b!") == 1


BAD = {
    "no TOML": ("title =", "expected TOML: "),
    "an unknown key": ("point = 3", "key='point': expected one of colab, exercises, leave_out, points, title"),
    "a title that is none": ("title = 3", "title=3: expected text"),
    "a misspelled id": ('leave_out = ["tokenization.decod"]', "leave_out='tokenization.decod': expected one of token"),
    "no list": ('leave_out = "tokenization.decode"', "leave_out='tokenization.decode': expected a list of texts"),
    "points for nobody": ('[points]\n"a.b" = 3', "points='a.b': expected one of "),
    "points of what is left out": (
        'leave_out = ["tokenization.decode"]\n[points]\n"tokenization.decode" = 3',
        "points='tokenization.decode': expected an exercise that leave_out does not name",
    ),
    "no points": ('[points]\n"tokenization.decode" = 0', "points of tokenization.decode=0: expected a whole number"),
    "half a point": ('[points]\n"tokenization.decode" = 0.5', "points of tokenization.decode=0.5: expected a whole"),
    "a truth": ('[points]\n"tokenization.decode" = true', "points of tokenization.decode=True: expected a whole"),
    "an unquoted id": (
        "[points]\ntokenization.decode = 3",
        "points='tokenization': expected an id in quotes, which has a dot: \"tokenization.decode\" = 4",
    ),
    "no table": ("points = 3", "points=3: expected a table"),
    "no file": ('exercises = ["mine/gone.py"]', "exercises='mine/gone.py': expected a file that is there"),
    "a file elsewhere": ('exercises = ["../gone.py"]', "exercises='../gone.py': expected a Python file in the folder"),
    "an absolute file": ('exercises = ["/mine.py"]', "exercises='/mine.py': expected a Python file in the folder"),
    "no Python file": ('exercises = ["course.toml"]', "exercises='course.toml': expected a Python file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told(name: str, tmp_path: Path) -> None:
    text, words = BAD[name]
    path = course_in(tmp_path, text)
    with pytest.raises(InvalidValue) as raised:
        find_course(tmp_path)
    assert str(raised.value).startswith(f"{path.resolve()}: {words}")


BAD_FILES = {
    "no exercise": ("x = 1", "exercises='mine/count_vowels.py': expected a file with an Exercise"),
    "no Python": ("x =\n", "expected a file that runs, but line 1: SyntaxError: invalid syntax"),
    "an error": ("\n\nx = 1 / 0\n", "expected a file that runs, but line 3: ZeroDivisionError: division by zero"),
    "bad settings": (OWN.replace("stars=1", "stars=7"), "ValueError: stars=7"),
    "a taken id": (
        OWN.replace("mine.count", "tokenization.count").replace("count_vowels", "count_pairs"),
        "id in mine/count_vowels.py='tokenization.count_pairs': expected an id that no other exercise has",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_exercise_file_is_told(name: str, tmp_path: Path) -> None:
    own, words = BAD_FILES[name]
    course_in(tmp_path, 'exercises = ["mine/count_vowels.py"]', own)
    with pytest.raises(InvalidValue) as raised:
        find_course(tmp_path)
    assert words.replace("ValueError", "InvalidValue") in str(raised.value)


def test_an_id_in_two_files_is_told(tmp_path: Path) -> None:
    course_in(tmp_path, 'exercises = ["mine/count_vowels.py", "mine/again.py"]')
    (tmp_path / "mine" / "again.py").write_text(OWN, encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"id in mine/again\.py='mine\.count_vowels': expected an id that no other"):
        find_course(tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"course='.*none.toml': expected a course\.toml"):
        read_course(tmp_path / "none.toml")
