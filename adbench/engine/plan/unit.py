"""The unit of work: one complete recipe on one category with one seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from adbench.api.dataset import Dataset
from adbench.engine.images.corruption import Corruption, parse_corruptions
from adbench.engine.images.drifting import parse_drifts
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Part, Recipe
from adbench.engine.store.record import (
    canonical_json,
)
from adbench.registration.registry import Registry


@dataclass(frozen=True)
class Unit:
    """A unit: one complete recipe on one category with one seed.

    Attributes:
        corruptions: corruptions of the test images that are scored too; they are no part of the identity.
        drifts: what streams of the test images slowly change to, which are scored too; no part of it either.
    """

    recipe: Recipe
    dataset: Dataset
    category: str
    seed: int
    protocol: Protocol
    corruptions: tuple[Corruption, ...] = ()
    drifts: tuple[Corruption, ...] = ()

    @property
    def title(self) -> str:
        """The title of the unit, for people."""
        return f"{self.recipe.name} on {self.category}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        """The unit as JSON, for a worker in another process."""
        dataset = {"name": self.dataset.name, "options": self.dataset.config.model_dump(mode="json")}
        return {
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
            "dataset": dataset,
            "category": self.category,
            "seed": self.seed,
            "protocol": self.protocol.model_dump(mode="json"),
            "corruptions": list(map(str, self.corruptions)),
            "drifts": list(map(str, self.drifts)),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], registry: Registry) -> Unit:
        """The unit from the JSON of `to_json`; units share a dataset, so its files are scanned once."""
        dataset = _dataset(canonical_json(data["dataset"]), registry)
        recipe, protocol = Recipe.model_validate(data["recipe"]), Protocol.model_validate(data["protocol"])
        extras = parse_corruptions(data["corruptions"]), parse_drifts(data["drifts"])
        return cls(recipe, dataset, data["category"], data["seed"], protocol, *extras)


@lru_cache(maxsize=8)
def _dataset(part: str, registry: Registry) -> Dataset:
    return cast("Dataset", Part.model_validate(json.loads(part)).make("dataset", registry))
