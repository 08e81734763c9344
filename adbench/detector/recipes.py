"""The recipe that a caller means, and whether a detector can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from adbench.api.bank import Bank, Source
from adbench.api.component import Component
from adbench.api.stages import Aggregator
from adbench.engine.plan.compat import require_compatible
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import SLOTS, Part, Recipe, complete, components_of, name_of, named_recipe
from adbench.errors import UsageError
from adbench.registration.registry import Registry

Parts = Mapping[str, Any]
"""By slot a part, as the command line writes it, or several of them in a list."""


def recipe_of(registry: Registry, named: str | Path | Recipe | None, parts: Parts) -> Recipe:
    """The complete recipe: a named one or a file's with some parts replaced, or one of parts alone.

    Raises:
        UsageError: neither a recipe nor backbone and scorer are named, or a part cannot be meant.
        UnknownName: no such recipe, slot, component or option.
    """
    chosen = {slot: _chosen(registry, slot, given) for slot, given in parts.items()}
    if named is not None:
        recipe = named if isinstance(named, Recipe) else named_recipe(named, registry)
        return complete(recipe.with_parts(chosen) if chosen else recipe, registry)
    if not {"backbone", "scorer"} <= chosen.keys():
        raise UsageError(
            "a detector needs a method: give a recipe's name, such as Detector('patchcore-lite'), or a backbone and a"
            " scorer, such as Detector(backbone='efficientnet-lite0', scorer='knn')"
        )
    return complete(Recipe(name=name_of(chosen), **chosen), registry)


def _chosen(registry: Registry, slot: str, given: Any) -> Any:
    """The part of a slot; of preparation and necks, all of them in order."""
    if slot not in SLOTS:
        raise UsageError(f"there is no slot {slot!r} in a recipe; the slots are {', '.join(SLOTS)}")
    several = given if isinstance(given, list | tuple) else () if given is None else (given,)
    found = tuple(_part(registry, slot, one) for one in several)
    if slot in ("preprocess", "neck"):
        return found
    return found[0] if found else None


def _part(registry: Registry, slot: str, given: Any) -> Part:
    part = Part.parse(given) if isinstance(given, str) else Part.model_validate(given)
    return part.settled(registry.get(SLOTS[slot], part.name).cls)


def detectable(recipe: Recipe, registry: Registry, class_name: str | None) -> dict[str, list[Component]]:
    """The components of a recipe that scores each image by itself.

    Args:
        recipe: complete.
        registry: what is installed.
        class_name: the object's name, if a method may read it.

    Raises:
        UsageError: the method learns from the images that it scores: it has no score for one new image.
        IncompatibleParts: its parts do not work together.
    """
    components = components_of(recipe, registry)
    bank, aggregator = cast("Bank", components["bank"][0]), cast("Aggregator", components["aggregate"][0])
    if bank.learns_from is Source.TEST:
        raise _transductive(recipe, f"{bank.title} learns from the images that are to be scored")
    if bank.learns_from is Source.LABELLED:
        raise UsageError(
            f"recipe {recipe.name!r} makes no detector: {bank.title} learns from labelled defects, and a detector from"
            " normal images alone; choose a method that does, or run this one with 'adbench run'"
        )
    require_compatible(recipe.name, components, Protocol(class_names=class_name is not None))
    if not aggregator.alone:
        raise _transductive(recipe, f"with {aggregator.title} an image's score depends on the images beside it")
    return components


def _transductive(recipe: Recipe, why: str) -> UsageError:
    return UsageError(
        f"recipe {recipe.name!r} makes no detector: {why}, so that one new image has no score; choose a method that"
        " learns from normal images"
    )
