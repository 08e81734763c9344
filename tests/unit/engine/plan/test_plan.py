import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adbench import UnknownName, UsageError
from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.plan import Assignment, make_plan
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe
from adbench.errors import IncompatibleParts


@pytest.fixture
def plan(parts, registry):
    def plan(*slots, categories=(), seeds=(0,)):
        recipes = [Recipe.model_validate({"name": "toy", "backbone": "toy-pixels", **slot}) for slot in slots]
        return make_plan(recipes, [Assignment(Folder(root=parts), Protocol(), categories, seeds)], registry)

    return plan


NEAREST = {"scorer": "toy-nearest"}


def test_every_category_with_every_seed_each_once(plan):
    units = plan(NEAREST, seeds=(2, 0, 2)).units
    assert [(unit.seed, unit.category) for unit in units] == [(2, "bolt"), (0, "bolt"), (2, "nut"), (0, "nut")]


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


def test_units_that_see_the_same_hang_on_one_branch_and_share_banks_there(plan):
    made = plan(
        {**NEAREST, "name": "a"},
        {**NEAREST, "name": "b", "backbone": {"toy-pixels": {"cell": 4}}},
        {**NEAREST, "name": "c", "aggregate": "mean"},
        seeds=(0, 1),
    )
    shown = [(b.title, [(unit.recipe.name, unit.seed) for unit in b.units]) for b in made.branches]
    assert shown == [
        ("toy-pixels on parts/bolt", [("a", 0), ("c", 0), ("a", 1), ("c", 1)]),
        ("toy-pixels on parts/nut", [("a", 0), ("c", 0), ("a", 1), ("c", 1)]),
        ("toy-pixels on parts/bolt", [("b", 0), ("b", 1)]),
        ("toy-pixels on parts/nut", [("b", 0), ("b", 1)]),
    ]


@given(of=st.integers(1, 20), seeds=st.integers(1, 5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shards_are_the_whole_and_equal(plan, of, seeds):
    whole = plan({**NEAREST, "name": "a"}, {**NEAREST, "name": "b", "aggregate": "mean"}, seeds=tuple(range(seeds)))
    shards = [whole.shard(number, of).units for number in range(1, of + 1)]
    assert [unit.title for shard in shards for unit in shard] == [unit.title for unit in whole.units]
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 4])
def test_a_shard_out_of_range_is_reported(plan, number):
    with pytest.raises(UsageError, match="from 1/3 to 3/3"):
        plan(NEAREST).shard(number, 3)
