"""docs/methods.md has each recipe once, its paper, the kind of its tests, and the boards that have a row of it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from adbench.engine.plan.recipe import read_recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
RECIPES = {path.stem: path for path in ROOT.glob("plugins/*/src/*/recipes/*.yaml")}
ROW = re.compile(r"^\| \[([\w.-]+)\]\(\.\./(\S+)\) \| (.*) \| (.*) \| (\w+) \| (.*) \|$", re.MULTILINE)
ROWS = {row[1]: row for row in ROW.finditer(PAGE)}


def methods_of(table):
    """The recipes that a board's table has rows of."""
    with table.open(encoding="utf-8", newline="") as file:
        return {re.split(r"[+,]", row["method"])[0] for row in csv.DictReader(file) if row.get("method")}


BOARDS = {
    table.parent.relative_to(ROOT / "leaderboards").as_posix(): methods_of(table)
    for table in ROOT.glob("leaderboards/*/*/table.csv")
}


def test_each_recipe_has_one_row():
    counts = Counter(row[1] for row in ROW.finditer(PAGE))
    assert counts == dict.fromkeys(RECIPES, 1), "add a row to docs/methods.md, or take one away"


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_says_what_is_so(name):
    _, card, source, _, equality, board = ROWS[name].groups()
    text = (ROOT / card).read_text(encoding="utf-8")
    assert Path(card).stem == name
    assert read_recipe(RECIPES[name]).paper.rpartition("/")[2] in source
    proofs = text.partition("## Tests of its claims")[2]
    kinds = {"peer"} if "tests/peers" in proofs else {"none"} if "No test bears its name." in proofs else None
    assert equality in (kinds or {"authors", "formula"})
    listed = set() if board.startswith("none") else set(board.split(", "))
    assert listed == {folder for folder, methods in BOARDS.items() if name in methods}
    assert board != "none", "say why no board has a row of it"
