"""Every recipe stands in the table of docs/export.md: with its figures, or with the sentence why it does not export."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adbench.registration.registry import installed

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
TABLE = PAGE.split("<!-- Made by scripts/parity_table. -->")[1].split("<!-- End of the table. -->")[0]
ROWS = re.findall(r"^\| `([\w-]+)` \| [^|]+ \|(.*)\|$", TABLE, re.MULTILINE)
SENTENCES = re.findall(r"^- `([\w-]+)`[^:]*: (.+\.)$", TABLE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(installed().recipe_files))
def test_a_recipe_stands_in_the_table_or_says_why_not(name):
    own = [recipe for recipe, _ in (*ROWS, *SENTENCES) if recipe == name]
    assert own, f"run scripts/parity_table --only {name}, and put what it prints into docs/export.md"


def test_figures_are_within_the_tolerance_of_exports():
    figures = [figure.strip() for _, cells in ROWS for figure in cells.split("|")]
    assert figures
    assert all(figure in {"-", "0"} or float(figure) <= 1e-4 for figure in figures)


def test_the_table_names_no_recipe_that_is_gone():
    assert {recipe for recipe, _ in (*ROWS, *SENTENCES)} <= set(installed().recipe_files)
