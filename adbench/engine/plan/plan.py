"""What is to be run, as a tree, and what cannot run, with the reasons.

Units that share what a backbone sees hang on one branch; units that share a bank are neighbours there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adbench.api.dataset import Dataset
from adbench.engine.plan.compat import why_not
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete, components_of, parts_in
from adbench.engine.plan.unit import Unit
from adbench.engine.store.record import canonical_json
from adbench.errors import IncompatibleParts, UnknownName, UsageError
from adbench.registry import Registry


@dataclass(frozen=True)
class Assignment:
    """What methods are asked to do: categories (none named: all) of a dataset under a protocol, with some seeds."""

    dataset: Dataset
    protocol: Protocol
    categories: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Branch:
    """Units for which a backbone sees the same images, those that learn the same next to each other."""

    units: tuple[Unit, ...]

    @property
    def title(self) -> str:
        """Who looks at what."""
        unit = self.units[0]
        return f"{unit.recipe.backbone.name} on {unit.dataset.board_name}/{unit.category}"


@dataclass(frozen=True)
class Plan:
    """Branches of units that can run, in order, and recipes that cannot, with a sentence for each reason."""

    branches: tuple[Branch, ...]
    cannot: tuple[tuple[Recipe, tuple[str, ...]], ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units, branch by branch."""
        return tuple(unit for branch in self.branches for unit in branch.units)

    def require_units(self) -> None:
        """Raise `IncompatibleParts` if nothing can run."""
        if not self.branches and self.cannot:
            recipe, reasons = self.cannot[0]
            raise IncompatibleParts(recipe.name, reasons)

    def shard(self, number: int, of: int) -> Plan:
        """The `number`-th of `of` parts (from 1), which together are the whole; a part depends on the plan alone.

        Parts are as equal as can be, and cut as few branches as that allows.

        Raises:
            UsageError: there is no such part.
        """
        if not 1 <= number <= of:
            raise UsageError(f"--shard {number}/{of}: shards are numbered from 1/{of} to {of}/{of}")
        units = self.units
        mine = set(map(id, units[len(units) * (number - 1) // of : len(units) * number // of]))
        parts = (tuple(unit for unit in branch.units if id(unit) in mine) for branch in self.branches)
        return Plan(tuple(Branch(part) for part in parts if part), self.cannot)


def make_plan(recipes: Sequence[Recipe], assignments: Sequence[Assignment], registry: Registry) -> Plan:
    """Lay out the tree.

    Raises:
        UnknownName: a category, component or option that does not exist.
        DataError: a dataset is not there.
    """
    branches: dict[str, dict[str, list[Unit]]] = {}
    cannot: dict[str, tuple[Recipe, tuple[str, ...]]] = {}
    for assignment in assignments:
        categories = _categories(assignment)
        for recipe in (complete(recipe, registry) for recipe in recipes):
            reasons = why_not(components_of(recipe, registry), assignment.protocol)
            if reasons:
                cannot.setdefault(canonical_json([recipe.name, reasons]), (recipe, tuple(reasons)))
                continue
            for category in categories:
                for seed in dict.fromkeys(assignment.seeds):
                    unit = Unit(recipe, assignment.dataset, category, seed, assignment.protocol)
                    branches.setdefault(_sees(unit), {}).setdefault(_learns(unit), []).append(unit)
    grown = (Branch(tuple(unit for units in banks.values() for unit in units)) for banks in branches.values())
    return Plan(tuple(grown), tuple(cannot.values()))


def _sees(unit: Unit) -> str:
    """What decides which features there are."""
    looking = [_spelt(unit.recipe, slot) for slot in ("preprocess", "backbone")]
    data = [unit.dataset.name, unit.dataset.config.model_dump(mode="json"), unit.category]
    return canonical_json([data, looking, unit.recipe.features, unit.protocol.class_names])


def _learns(unit: Unit) -> str:
    """What decides what is learned from them."""
    learning = [_spelt(unit.recipe, slot) for slot in ("augment", "neck", "masker", "bank")]
    return canonical_json([learning, unit.protocol.model_dump(mode="json"), unit.seed])


def _spelt(recipe: Recipe, slot: str) -> list[object]:
    return [part.model_dump(mode="json") for part in parts_in(recipe, slot)]


def _categories(assignment: Assignment) -> list[str]:
    known = list(assignment.dataset.categories())
    for category in assignment.categories:
        if category not in known:
            raise UnknownName("category", category, known, f"of dataset {assignment.dataset.name!r}")
    return list(dict.fromkeys(assignment.categories)) or known
