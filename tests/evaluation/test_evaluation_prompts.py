"""Free text: the committed prompts fit the data, and the ranking of roles is that of a loop."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from evaluation_world import make_pictures

from minidalle.data.emoji import PARQUET
from minidalle.errors import InvalidValue
from minidalle.evaluation.free_text import Prompt, concept_recall, load_prompts, nearest_of_each

PICTURES = make_pictures()
ROLES = PICTURES.columns["role"]


def test_committed_prompts_mean_roles_of_the_data() -> None:
    prompts, roles = load_prompts(), set(pq.read_table(PARQUET, columns=["role"])["role"].to_pylist())
    assert len(prompts) == len({prompt.prompt for prompt in prompts}) == 100
    assert [(prompt.prompt, concept) for prompt in prompts for concept in prompt.concepts if concept not in roles] == []
    assert {prompt.kind for prompt in prompts} == {"name", "words", "paraphrase"}


def test_ranking_is_that_of_a_loop() -> None:
    chance = np.random.default_rng(0)
    shown = chance.permutation(PICTURES.pictures)[:30]
    shown = np.clip(shown + chance.normal(0, 60, shown.shape), 0, 255).astype(np.uint8)
    meant = [Prompt("x", "words", tuple(chance.choice(ROLES, 2, replace=False))) for _ in shown]
    found = concept_recall(shown, meant, PICTURES)
    for row, prompt in enumerate(meant):
        far = np.square(PICTURES.pictures.astype(int) - shown[row]).sum((1, 2, 3))
        ranked = list(dict.fromkeys(ROLES[np.argsort(far, kind="stable")].tolist()))
        for k in (1, 5):
            assert found[f"top_{k}"][row] == bool(set(ranked[:k]) & set(prompt.concepts))
    assert 0 < found["top_1"].mean() < found["top_5"].mean() < 1


def test_right_wrong_and_second_best() -> None:
    apple, pear = (int(np.flatnonzero(role == ROLES)[0]) for role in ("apple", "pear"))
    near_pear = (0.6 * PICTURES.pictures[pear] + 0.4 * PICTURES.pictures[apple]).astype(np.uint8)
    shown = np.stack([PICTURES.pictures[apple], PICTURES.pictures[apple], near_pear])
    meant = [Prompt("", "", concepts) for concepts in (("apple",), ("cook", "apple"), ("apple",))]
    found = concept_recall(shown, meant, PICTURES)
    assert found["top_1"].tolist() == [1, 1, 0]
    assert found["top_5"].tolist() == [1, 1, 1]


def test_nearest_of_each() -> None:
    far = torch.tensor([[3.0, 1.0, 2.0, 5.0]])
    assert nearest_of_each(far, np.array([0, 1, 0, 2])).tolist() == [[2.0, 1.0, 5.0]]


def test_unknown_concepts_and_broken_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="concept of 'a dodo'='dodo': expected a role of the data"):
        concept_recall(PICTURES.pictures[:1], [Prompt("a dodo", "name", ("dodo",))], PICTURES)
    table = tmp_path / "prompts.csv"
    table.write_text("prompt,concepts\na cat,cat\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match=re.escape("expected prompt, kind, concepts")):
        load_prompts(table)
    table.write_text("prompt,kind,concepts\na cat,name,cat | cat face\n ,name,cat\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match="prompt in line 3 of"):
        load_prompts(table)
    table.write_text("prompt,kind,concepts\na cat,name,cat | cat face\n", encoding="utf-8")
    assert load_prompts(table) == [Prompt("a cat", "name", ("cat", "cat face"))]
