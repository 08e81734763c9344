import pytest

from adbench import IncompatibleParts, UnknownName
from adbench.builtin.datasets import Folder
from adbench.engine.plan import make_plan
from adbench.engine.protocol import Protocol
from adbench.engine.spec import Recipe


@pytest.fixture
def plan(parts, registry):
    def plan(*slots, categories=(), seeds=(0,)):
        recipes = [Recipe.model_validate({"name": "toy", "backbone": "toy-pixels", **slot}) for slot in slots]
        return make_plan(recipes, Folder(root=parts), categories, seeds, Protocol(), registry)

    return plan


NEAREST = {"scorer": "toy-nearest"}


def test_every_category_with_every_seed_each_once(plan):
    units = plan(NEAREST, seeds=(2, 0, 2)).units
    assert [(unit.seed, unit.category) for unit in units] == [(2, "bolt"), (2, "nut"), (0, "bolt"), (0, "nut")]


def test_only_the_categories_that_are_named(plan):
    assert [unit.category for unit in plan(NEAREST, categories=("nut", "nut")).units] == ["nut"]
    with pytest.raises(UnknownName, match="did you mean 'nut'"):
        plan(NEAREST, categories=("nuts",))


def test_a_recipe_in_a_plan_is_complete(plan):
    recipe = plan(NEAREST).units[0].recipe
    assert recipe.bank.name == "toy-vectors"
    assert recipe.aggregate.name == "max"
    assert recipe.preprocess[0].name == "resize"


def test_what_cannot_run_is_listed_and_the_rest_goes_on(plan):
    made = plan({**NEAREST, "bank": "toy-gaussian"}, NEAREST)
    ((recipe, reasons),) = made.cannot
    assert recipe.bank.name == "toy-gaussian"
    assert "reads a VectorBank" in reasons[0]
    assert len(made.units) == 2
    made.require_units()


def test_a_plan_of_nothing_says_why(plan):
    with pytest.raises(IncompatibleParts, match="reads a VectorBank"):
        plan({**NEAREST, "bank": "toy-gaussian"}).require_units()
