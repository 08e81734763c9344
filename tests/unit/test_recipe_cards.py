"""The recipes' cards are up to date, and say nothing that is not in a recipe, a docstring or a test's mark."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path

import pytest

from adbench import UsageError
from adbench.boards.records.recipe_facts import read_recipe_facts
from adbench.engine.plan.recipe import read_recipe
from adbench.registration.registry import installed

ROOT = Path(__file__).parents[2]
CARDS = sorted(ROOT.glob("plugins/*/docs/recipes/*.md"))


@pytest.fixture(scope="module")
def script():
    """scripts/recipe_cards as a module."""
    loader = importlib.machinery.SourceFileLoader("recipe_cards", str(ROOT / "scripts" / "recipe_cards"))
    spec = importlib.util.spec_from_loader("recipe_cards", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script):
    return script.cards()


@pytest.mark.slow
def test_cards_are_up_to_date(made):
    stale = [path.name for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert stale == [], "run scripts/recipe_cards"
    assert sorted(made) == CARDS, "run scripts/recipe_cards"


@pytest.mark.slow
def test_the_facts_for_pages_of_boards_are_up_to_date(script):
    assert script.FACTS.read_text(encoding="utf-8") == script.facts(), "run scripts/recipe_cards"
    facts = read_recipe_facts(script.FACTS)
    assert facts.keys() == {path.stem for path in CARDS}
    assert all((script.FACTS.parent / each.card).is_file() for each in facts.values())
    assert facts["patchcore"].parameters == 66_834_240, (
        "Wide ResNet-50-2 has 68.9 million with its head of 1,000 classes"
    )


def test_the_packages_of_names_are_up_to_date(script):
    assert script.PACKAGES_FILE.read_text(encoding="utf-8") == script.packages(), "run scripts/recipe_cards"


def test_each_recipe_of_a_plugin_here_has_a_card():
    assert {path.stem for path in CARDS} == set(installed().recipe_files)


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_links_lead_somewhere(card):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", card.read_text(encoding="utf-8")) if "://" not in link]
    assert len(links) > 5
    for link in links:
        assert (card.parent / link).exists(), link


def test_parts_come_in_the_order_in_which_data_meets_them(made):
    (text,) = [text for path, text in made.items() if path.stem == "patchcore-lite"]
    slots = re.findall(r"^\d+\. \*\*(\w+)\*\*", text, re.MULTILINE)
    assert slots == ["preprocess", "backbone", "neck", "neck", "bank", "scorer", "aggregate", "map"]
    assert "Options: `fraction=0.01`." in text
    assert "**Differs** in `fraction`: 1 % in place of 10 %." in text
    assert "Eq. 7 of [2106.08265]" in text
    assert "tests/peers/test_patchcore_equal.py" in text


def test_an_equation_of_an_option_that_is_off_is_not_cited(made):
    (text,) = [text for path, text in made.items() if path.stem == "patchcore"]
    assert "Eq. 7 of" not in text, "patchcore does not reweight"


NOT_PROVEN = {"skip-ae-mse"}
"""Recipes without an official code or a definition that a test could hold them against."""


def test_every_mark_names_a_recipe_and_every_paper_has_a_proof(script):
    marked = {name for proof in script.proofs() for name in proof.recipes}
    assert marked == {path.stem for path in CARDS} - NOT_PROVEN


def test_a_difference_in_an_option_that_there_is_not_stops_the_script(script, tmp_path):
    file = tmp_path / "odd.yaml"
    text = "recipe: odd\ntitle: Odd\nbackbone: toy-pixels\nbank: toy-vectors\nscorer: toy-nearest\n"
    text += "differs: {PLACE: not so}\n"
    file.write_text(text.replace("PLACE", "bank.fractoin"))
    with pytest.raises(SystemExit, match="'differs' names bank.fractoin, which the recipe has not"):
        script.card_of(file, ROOT / "plugins" / "odd.md", installed(), [])
    file.write_text(text.replace("PLACE", "bankk.fraction"))
    with pytest.raises(UsageError, match="'bankk.fraction' is not a slot"):
        read_recipe(file)
    file.write_text(text.replace("PLACE", "bank.fraction"))
    assert "**Differs** in `fraction`: not so." in script.card_of(file, ROOT / "plugins" / "odd.md", installed(), [])


def test_what_a_recipe_says_of_differences_is_no_part_of_its_identity():
    from adbench.engine.plan.recipe import complete, components_of, spec_of

    recipe = read_recipe(installed().recipe("patchcore-lite").path)
    whole = complete(recipe, installed())
    assert "differs" not in spec_of(whole, components_of(whole, installed()))
