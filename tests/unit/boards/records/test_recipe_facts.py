from __future__ import annotations

import pytest

from adbench import StorageError
from adbench.boards.board import Board
from adbench.boards.page.content import content
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.records.recipe_facts import RecipeFacts, read_recipe_facts
from adbench.boards.tables.tidy import tidy

FACTS = "recipes: [{recipe: knn, title: kNN, paper: 'https://arxiv.org/abs/2002.10445', card: ../cards/knn.md}]"


def test_facts_are_read_by_name_with_the_paper_s_year(tmp_path):
    path = tmp_path / "recipes.yaml"
    assert read_recipe_facts(path) == {}
    path.write_text(FACTS, encoding="utf-8")
    facts = read_recipe_facts(path)["knn"]
    assert (facts.title, facts.year, facts.licence) == ("kNN", 2020, "")
    assert RecipeFacts(recipe="x", title="x", paper="https://example.org/2106.08265").year is None


@pytest.mark.parametrize(
    "text",
    [
        "recipes: [{recipe: x}]",
        "recipes: [{recipe: x, title: x, parameters: 0}]",
        "recipes: [{recipe: x, title: x, parameters: many}]",
        "recipes: [{recipe: x, title: x, paper: 'javascript:alert(1)'}]",
        "recipes: [{recipe: x, title: x, card: 'https://elsewhere.org/x.md'}]",
        "recipes: [{recipe: x, title: x, card: '/etc/passwd'}]",
        "recipes: !!python/object/apply:os.system ['true']",
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text):
    path = tmp_path / "recipes.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match=r"recipes\.yaml"):
        read_recipe_facts(path)


def test_a_row_is_led_to_the_recipe_that_its_name_begins_with(make_record):
    board = Board(title="Demo", dataset="demo", protocol={"train": "all"}, metrics=("image-auroc",))
    records = [make_record(name) for name in ("knn", "knn+resnet50", "knnother")]
    facts = {name: RecipeFacts(recipe=name, title=name, card="../c.md") for name in ("knn", "unused")}
    shown = content(tidy(board, records), BoardExtras(), facts)
    assert {method["label"]: method["source"] for method in shown["methods"]} == {
        "knn": "knn",
        "knn+resnet50": "knn",
        "knnother": None,
    }
    assert list(shown["recipes"]) == ["knn"]
    assert shown["recipes"]["knn"]["card"] == "../../../c.md"
