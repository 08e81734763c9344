"""What is to be run: recipes x categories x seeds, and what cannot run, with the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adbench.api.dataset import Dataset
from adbench.engine.compat import why_not
from adbench.engine.draft import Unit
from adbench.engine.protocol import Protocol
from adbench.engine.spec import Recipe, complete, components_of
from adbench.errors import IncompatibleParts, UnknownName
from adbench.registry import Registry


@dataclass(frozen=True)
class Plan:
    """Units that can run, in order, and recipes that cannot, with a sentence for each reason."""

    units: tuple[Unit, ...]
    cannot: tuple[tuple[Recipe, tuple[str, ...]], ...]

    def require_units(self) -> None:
        """Raise `IncompatibleParts` if nothing can run."""
        if not self.units and self.cannot:
            recipe, reasons = self.cannot[0]
            raise IncompatibleParts(recipe.name, reasons)


def make_plan(
    recipes: Sequence[Recipe],
    dataset: Dataset,
    categories: Sequence[str],
    seeds: Sequence[int],
    protocol: Protocol,
    registry: Registry,
) -> Plan:
    """Lay out the units, one seed after the other; categories are all of the dataset's where none is named.

    Raises:
        UnknownName: a category, component or option that does not exist.
        DataError: the dataset is not there.
    """
    units: list[Unit] = []
    cannot: list[tuple[Recipe, tuple[str, ...]]] = []
    completed = [complete(recipe, registry) for recipe in recipes]
    chosen = _categories(dataset, categories)
    for recipe in completed:
        reasons = why_not(components_of(recipe, registry), protocol)
        if reasons:
            cannot.append((recipe, tuple(reasons)))
            continue
        units += [
            Unit(recipe, dataset, category, seed, protocol) for seed in dict.fromkeys(seeds) for category in chosen
        ]
    return Plan(tuple(units), tuple(cannot))


def _categories(dataset: Dataset, wanted: Sequence[str]) -> list[str]:
    known = list(dataset.categories())
    for category in wanted:
        if category not in known:
            raise UnknownName("category", category, known, f"of dataset {dataset.name!r}")
    return list(dict.fromkeys(wanted)) or known
