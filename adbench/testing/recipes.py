"""The rules that hold for every recipe of a package, for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from adbench import Component, Scorer
from adbench.engine.plan.recipe import SLOTS, Recipe, parts_in, read_recipe
from adbench.registration.registry import installed


def recipe_files(package: ModuleType) -> list[Path]:
    """The recipes in a package's folder ``recipes``, sorted by name."""
    assert package.__file__ is not None
    return sorted((Path(package.__file__).parent / "recipes").glob("*.yaml"))


def check_recipe(file: Path, parts: Mapping[str, type[Component]]) -> dict[str, Component]:
    """Check a recipe by itself: it names its source, and parts that are at hand take their options.

    Parts of other packages need not be installed.

    Args:
        file: the recipe.
        parts: the components of the package under test, by ``"slot/name"``, such as ``"bank/coreset"``.

    Returns:
        The package's own parts in the recipe, made, by slot.
    """
    recipe = read_recipe(file)
    assert recipe.name == file.stem, f"the recipe in {file.name} is called {recipe.name!r}"
    assert recipe.title
    assert recipe.paper.startswith("https://arxiv.org/abs/")
    assert file.read_text(encoding="utf-8").startswith("# "), "a recipe begins with a comment that explains it"
    made = _made(recipe, parts)
    scorer = made.get("scorer")
    if isinstance(scorer, Scorer):
        _check_aggregator(recipe, scorer)
    return made


def _made(recipe: Recipe, own: Mapping[str, type[Component]]) -> dict[str, Component]:
    """The package's own parts by slot; parts that come with adbench are made, too, to check their options."""
    registry, made = installed(), dict[str, Component]()
    for slot, kind in SLOTS.items():
        for part in parts_in(recipe, slot):
            cls = own.get(f"{slot}/{part.name}")
            if cls is not None:
                made[slot] = cls(**part.options)
            elif _comes_with_adbench(kind, part.name):
                part.make(kind, registry)
    return made


def _comes_with_adbench(kind: str, name: str) -> bool:
    return any(entry.name == name and entry.dist == "adbench-core" for entry in installed().entries(kind))


def _check_aggregator(recipe: Recipe, scorer: Scorer) -> None:
    """A scorer's own image score is read by the aggregator, and by no other where there is none."""
    (aggregate,) = parts_in(recipe, "aggregate")
    own = "image" in scorer.gives(scorer.config)
    assert own == (aggregate.name in {"scorer", "local-global"}), f"aggregate={aggregate.name}, own image score: {own}"
