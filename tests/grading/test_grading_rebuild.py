"""The rebuilt notebook: what was released is as it was, what a student wrote is there, and notes say what was wrong."""

import json

import nbformat
import pytest
from handed_in_books import (
    MERGE,
    PAIRS,
    RELEASE,
    WORDS,
    Book,
    Edit,
    cell,
    code,
    handed_in,
    place,
    released,
    same_as_released,
    sources,
    written,
)
from nbgrader.nbgraderformat import MetadataValidator

from minidalle.grading.rebuild import MISSING

ANSWER = "def count_pairs(words, counts):\n    return {}"
CHECK, SOLUTION = f"{PAIRS}-check", f"{PAIRS}-solution"


def test_an_untouched_notebook_is_the_release() -> None:
    taken = handed_in(released())
    assert taken.notebook["cells"] == RELEASE.notebook["cells"]
    assert taken.notes == ()


def test_answers_and_extra_cells_are_taken_and_nothing_else() -> None:
    book = written(written(released(), SOLUTION, ANSWER), WORDS, "They pay more.")
    book["cells"].insert(place(book, SOLUTION), code("import math", outputs=[{"output_type": "error"}]))
    book["metadata"] = {"widgets": {"x": 1}, "kernelspec": {"name": "evil"}}
    cell(book, SOLUTION) | {"metadata": {"tags": ["x"]}, "execution_count": 7}
    taken = handed_in(book)
    assert same_as_released(taken, (SOLUTION, WORDS))
    texts = sources(taken)
    assert texts[place(released(), SOLUTION) : place(released(), SOLUTION) + 2] == ["import math", ANSWER]
    assert "They pay more." in texts
    assert len(texts) == len(RELEASE.cells) + 1
    assert taken.notes == ()
    assert taken.notebook["metadata"] == RELEASE.notebook["metadata"]
    assert all(not one.get("outputs") and one.get("execution_count") is None for one in taken.notebook["cells"])


def test_the_rebuilt_notebook_is_valid() -> None:
    book = released()
    book["cells"] = [code("x = 1"), *book["cells"], {"cell_type": "raw", "source": "y"}, code("z")]
    for one in (handed_in(book), handed_in({**book, "nbformat": 3})):
        node = nbformat.from_dict(one.notebook)
        nbformat.validate(node)
        MetadataValidator().validate_nb(node)


def mark(id: str, **marks: object) -> Edit:
    return lambda book: cell(book, id)["metadata"]["nbgrader"].update(marks)


def delete(*ids: str) -> Edit:
    return lambda book: book.update(cells=[one for one in book["cells"] if one["id"] not in ids])


def twice(id: str, **changes: object) -> Edit:
    return lambda book: book["cells"].insert(place(book, id) + 1, {**cell(book, id), "id": "copy", **changes})


REPAIRED: dict[str, tuple[Edit, str]] = {
    "deleted": (delete(CHECK), f"check cell {CHECK} was missing and was put back"),
    "twice": (twice(CHECK), f"check cell {CHECK} was there 2 times: once is enough"),
    "edited": (
        lambda book: written(book, CHECK, "print(2.0)"),
        f"check cell {CHECK} was not as released and was put back",
    ),
    "markdown": (
        lambda book: cell(book, CHECK).update(cell_type="markdown"),
        f"check cell {CHECK} was not as released",
    ),
    "grade: false": (mark(CHECK, grade=False), f"check cell {CHECK}: grade not as released, and put back"),
    "points": (mark(CHECK, points=9000), f"check cell {CHECK}: points not as released, and put back"),
    "unlocked": (mark(CHECK, locked=False), f"check cell {CHECK}: locked not as released"),
    "a solution": (mark(CHECK, solution=True), f"check cell {CHECK}: solution not as released"),
    "checksum": (mark(CHECK, checksum="0" * 32), f"check cell {CHECK}: checksum not as released"),
    "grade_id": (mark(CHECK, grade_id="mine"), f"check cell {CHECK}: grade_id not as released"),
    "another's": (mark(CHECK, grade_id=f"{MERGE}-check"), f"check cell {CHECK} was missing and was put back"),
    "a strange grade_id": (mark(CHECK, grade_id=["x"]), f"check cell {CHECK}: grade_id not as released"),
    "a task": (mark(CHECK, task=True), f"check cell {CHECK}: task not as released"),
}


@pytest.mark.parametrize("what", REPAIRED)
def test_a_check_is_repaired(what: str) -> None:
    edit, words = REPAIRED[what]
    book = written(released(), SOLUTION, ANSWER)
    edit(book)
    taken = handed_in(book)
    assert any(words in note for note in taken.notes), taken.notes
    assert same_as_released(taken, (SOLUTION,))
    assert ANSWER in sources(taken)


def test_what_stood_in_an_edited_check_is_kept_above_it() -> None:
    taken = handed_in(written(released(), CHECK, f'{ANSWER}\n\ncheck("tokenization.count_pairs", count_pairs)'))
    texts = sources(taken)
    check = texts.index(RELEASE.cells[CHECK]["source"])
    assert texts[check - 1].startswith(ANSWER)


def test_an_edited_cell_that_was_given_is_kept_behind_it() -> None:
    setup = next(id for id, one in RELEASE.cells.items() if "\nimport" in one["source"])
    mine = RELEASE.cells[setup]["source"] + "\nimport itertools"
    taken = handed_in(written(released(), setup, mine))
    assert same_as_released(taken)
    assert sources(taken)[place(released(), setup) + 1] == mine


def test_of_two_answers_the_last_that_was_written_counts_and_both_are_kept() -> None:
    stub = RELEASE.cells[SOLUTION]["source"]
    better = ANSWER.replace("{}", "dict()")
    cases = {(ANSWER, better): better, (better, stub): better, (stub, better): better, (better, " "): better}
    for (first, second), counts in cases.items():
        book = written(released(), SOLUTION, first)
        twice(SOLUTION, source=second)(book)
        taken = handed_in(book)
        assert next(one for one in taken.notebook["cells"] if one["id"] == SOLUTION)["source"] == counts
        assert any("was there 2 times" in note for note in taken.notes)
        rest = sources(taken)
        assert rest.index(counts) == max(at for at, text in enumerate(rest) if text.startswith("def count_pairs"))
        assert all(text in rest for text in (first, second) if text not in (stub, " "))


def without_ids(book: Book) -> None:
    for one in book["cells"]:
        del one["id"]
    book["nbformat_minor"] = 2


def without_marks(book: Book) -> None:
    for number, one in enumerate(book["cells"]):
        one["metadata"] = {"id": f"colab{number}"}
        one["id"] = f"colab-{number}"


def definitions(book: Book) -> str:
    return "\n".join(one["source"] for one in handed_in(book).notebook["cells"] if one["cell_type"] == "code")


@pytest.mark.parametrize("lose", [without_ids, without_marks])
def test_lost_ids_and_marks_cost_nothing(lose: Edit) -> None:
    """As Colab and VS Code save a notebook: what an answer is follows from where it stands."""
    book = written(written(released(), SOLUTION, ANSWER), WORDS, "They pay more.")
    lose(book)
    taken = handed_in(book)
    assert same_as_released(taken, (SOLUTION, WORDS))
    by_id = {one["id"]: one["source"] for one in taken.notebook["cells"]}
    assert by_id[SOLUTION] == ANSWER
    assert by_id[WORDS] == "They pay more."
    if lose is without_marks:
        assert any("had lost nbgrader's marks" in note for note in taken.notes)


def test_a_deleted_answer_is_no_stub_and_waits_for_a_person() -> None:
    book = released()
    delete(SOLUTION, WORDS)(book)
    book["cells"].append(code(ANSWER))
    taken = handed_in(book)
    by_id = {one["id"]: one["source"] for one in taken.notebook["cells"]}
    assert by_id[SOLUTION] == ""  # a stub would stand in the way of the function that is elsewhere
    assert by_id[WORDS] == MISSING
    assert sources(taken)[-1] == ANSWER
    assert f"answer cell {SOLUTION} was missing" in taken.notes


def test_an_answer_that_became_text_is_code_again() -> None:
    book = written(released(), SOLUTION, ANSWER)
    cell(book, SOLUTION)["cell_type"] = "markdown"
    taken = handed_in(book)
    assert same_as_released(taken, (SOLUTION,))
    assert f"answer cell {SOLUTION} was markdown, and is code again" in taken.notes


def test_moved_cells_go_back_and_extra_cells_keep_their_order() -> None:
    book = written(released(), SOLUTION, ANSWER)
    first = [code(f"extra = {number}") for number in range(3)]
    for number, id in enumerate((SOLUTION, CHECK, f"{MERGE}-check")):
        book["cells"].insert(place(book, id) + 1, first[number])
    book["cells"].insert(2, dict(book["cells"][-1]))  # a copy of the last cell, far up
    book["cells"].append(book["cells"].pop(place(book, f"{MERGE}-hints")))
    taken = handed_in(book)
    assert same_as_released(taken, (SOLUTION,))
    texts = sources(taken)
    assert [text for text in texts if text.startswith("extra")] == [one["source"] for one in first]
    assert texts[texts.index(ANSWER) + 1] == "extra = 0"


def test_an_older_release_is_no_offence() -> None:
    book = written(released(), SOLUTION, ANSWER)
    mark(SOLUTION, checksum="1" * 32)(book)
    assert handed_in(book).notes == ()


def test_pasted_pictures_are_left_out_and_said_so() -> None:
    book = written(released(), WORDS, "![mine](attachment:x.png)")
    cell(book, WORDS)["attachments"] = {"x.png": {"image/png": "AAAA"}}
    taken = handed_in(book)
    assert "attachments" not in json.dumps(taken.notebook)
    assert "pictures that were pasted into cells were left out" in taken.notes


def test_a_thousand_copies_of_everything_are_quick() -> None:
    book = released()
    book["cells"] = (book["cells"] * 30)[:2000]
    taken = handed_in(book)
    assert taken.notebook["cells"][1:] == RELEASE.notebook["cells"]
    assert len(taken.notes) < 100
