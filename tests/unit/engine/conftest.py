"""Units of toy components on the small folder of parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete
from adbench.engine.plan.unit import Unit
from adbench.registration.registry import Registry, load_registry


@pytest.fixture
def registry() -> Registry:
    """A fresh one, to which a test may add components."""
    return load_registry()


@pytest.fixture
def make_unit(parts: Path, registry: Registry) -> Callable[..., Unit]:
    """A unit of the toy method on ``bolt``; slots and what else a unit has can be given."""

    def make(*, category: str = "bolt", seed: int = 0, protocol: Protocol | None = None, **slots: Any) -> Unit:
        recipe = Recipe.model_validate({"name": "toy", "backbone": "toy-pixels", "scorer": "toy-nearest", **slots})
        return Unit(complete(recipe, registry), Folder(root=parts), category, seed, protocol or Protocol())

    return make
