"""The plan: units that will run, as a tree, and recipes that cannot run, with the reasons.

Units that share a backbone and its images are one branch; units that share a bank are neighbours in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adbench.api.dataset import Dataset
from adbench.engine.images.corruption import Corruption
from adbench.engine.plan.compat import why_not
from adbench.engine.plan.protocol import Protocol, why_too_few
from adbench.engine.plan.recipe import Recipe, complete, components_of, parts_in
from adbench.engine.plan.unit import Unit
from adbench.engine.store.record import canonical_json
from adbench.errors import IncompatibleParts, UnknownName, UsageError
from adbench.registration.registry import Registry


@dataclass(frozen=True)
class Assignment:
    """An assignment for methods: categories (empty: all) of a dataset, a protocol, seeds, corruptions and drifts."""

    dataset: Dataset
    protocol: Protocol
    categories: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    corruptions: tuple[Corruption, ...] = ()
    drifts: tuple[Corruption, ...] = ()


@dataclass(frozen=True)
class Branch:
    """A branch: units that share a backbone and its images; units that share a bank are next to each other."""

    units: tuple[Unit, ...]

    @property
    def title(self) -> str:
        """The branch's backbone, dataset and category, in words."""
        unit = self.units[0]
        return f"{unit.recipe.backbone.name} on {unit.dataset.board_name}/{unit.category}"


@dataclass(frozen=True)
class Plan:
    """A plan: branches of units that can run, in order, and recipes that cannot, with a sentence for each reason."""

    branches: tuple[Branch, ...]
    cannot: tuple[tuple[Recipe, tuple[str, ...]], ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units, branch by branch."""
        return tuple(unit for branch in self.branches for unit in branch.units)

    def require_units(self) -> None:
        """Check that something can run.

        Raises:
            IncompatibleParts: no recipe fits together.
            UsageError: every category has fewer normal images than the shots need.
        """
        if not self.branches and self.cannot:
            recipe, reasons = self.cannot[0]
            raise IncompatibleParts(recipe.name, reasons)
        drawn = {(id(unit.dataset), unit.category, unit.protocol.shots, unit.seed): unit for unit in self.units}
        lacks = [why_too_few(unit.dataset, unit.category, unit.protocol, unit.seed) for unit in drawn.values()]
        if lacks and all(lacks):
            raise UsageError(lacks[0])

    def shard(self, number: int, of: int) -> Plan:
        """The shard `number` (from 1) of `of` equal parts of the plan; it depends on the plan alone.

        Shards differ by at most one unit, and consecutive units stay together.

        Raises:
            UsageError: there is no such shard.
        """
        if not 1 <= number <= of:
            raise UsageError(f"--shard {number}/{of}: shards are numbered from 1/{of} to {of}/{of}")
        units = self.units
        chosen = set(map(id, units[len(units) * (number - 1) // of : len(units) * number // of]))
        parts = (tuple(unit for unit in branch.units if id(unit) in chosen) for branch in self.branches)
        return Plan(tuple(Branch(part) for part in parts if part), self.cannot)


def make_plan(recipes: Sequence[Recipe], assignments: Sequence[Assignment], registry: Registry) -> Plan:
    """Make the plan of recipes on assignments.

    Raises:
        UnknownName: a category, component or option does not exist.
        DataError: a dataset is missing.
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
                    rest = assignment.protocol, assignment.corruptions, assignment.drifts
                    unit = Unit(recipe, assignment.dataset, category, seed, *rest)
                    branches.setdefault(_features_key(unit), {}).setdefault(_bank_key(unit), []).append(unit)
    made = (Branch(tuple(unit for units in banks.values() for unit in units)) for banks in branches.values())
    return Plan(tuple(made), tuple(cannot.values()))


def _features_key(unit: Unit) -> str:
    """The key of everything that decides the features."""
    parts = [_parts_json(unit.recipe, slot) for slot in ("preprocess", "backbone")]
    data = [unit.dataset.name, unit.dataset.config.model_dump(mode="json"), unit.category]
    return canonical_json([data, parts, unit.recipe.features, unit.protocol.class_names])


def _bank_key(unit: Unit) -> str:
    """The key of everything else that decides the bank."""
    parts = [_parts_json(unit.recipe, slot) for slot in ("augment", "tune", "neck", "masker", "bank")]
    return canonical_json([parts, unit.protocol.model_dump(mode="json"), unit.seed])


def _parts_json(recipe: Recipe, slot: str) -> list[object]:
    return [part.model_dump(mode="json") for part in parts_in(recipe, slot)]


def _categories(assignment: Assignment) -> list[str]:
    known = list(assignment.dataset.categories())
    for category in assignment.categories:
        if category not in known:
            raise UnknownName("category", category, known, f"of dataset {assignment.dataset.name!r}")
    return list(dict.fromkeys(assignment.categories)) or known
