"""A suite: many methods on many tasks, from a file or from the command line's axes, as recipes and assignments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adbench.api.bank import Source
from adbench.api.dataset import Dataset
from adbench.api.untrusted import read_yaml
from adbench.engine.images.contamination import MOST
from adbench.engine.images.corruption import parse_corruptions
from adbench.engine.images.drifting import parse_drifts
from adbench.engine.images.exemplars import fault_of_labels
from adbench.engine.plan.plan import Assignment
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import SLOTS, Part, Recipe, name_of, named_recipe, parts_in
from adbench.errors import AdbenchError, PluginError, StorageError, UnknownName, UsageError
from adbench.registration.faults import made
from adbench.registration.registry import Registry
from adbench.safe_text import one_line

MAX_SUITE_BYTES = 1 << 20
MAX_RECIPES = 10_000
"""Largest number of recipes of a suite or of ``--all``. A grid is counted before it is expanded."""
MAX_UNITS = 1_000_000
"""Largest number of units of a suite: recipes times tasks times seeds, and times categories if they are named."""
SHOWN_FAULTS = 10
_NAMED = ("augment", "preprocess", "backbone", "tune", "neck", "masker", "bank", "scorer", "aggregate")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    """A list; a single value becomes a list of one."""
    return [value] if isinstance(value, str | int | Mapping) else value


class TaskSpec(_Frozen):
    """A task for every method of a suite; each item of a list is a separate task."""

    data: str = Field(description="a dataset's name, or a folder; a relative path starts at the suite's file")
    root: str | None = Field(None, description="the folder of the dataset, if not the usual one")
    ignore: str | None = Field(None, description="the file that marks pixels of all images to ignore")
    categories: tuple[str, ...] = Field((), description="default: all")
    shots: tuple[int | Literal["all"], ...] = Field(("all",), min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    limit_train: int | None = Field(None, ge=1)
    limit_test: int | None = Field(None, ge=1)
    evaluation: Literal["original"] | int = "original"
    allow: tuple[Source, ...] = (Source.NOTHING, Source.TRAIN)
    class_names: bool = False
    contaminate: float | None = Field(None, gt=0, le=MOST)
    model_per: Literal["category", "dataset"] = "category"
    defect_shots: int | None = Field(None, ge=1)
    corrupt: tuple[str, ...] = Field((), description="all, or names of corruptions with or without a strength")
    drift: tuple[str, ...] = Field((), description="all, or names of corruptions with or without the last strength")

    _one = field_validator("categories", "shots", "seeds", "corrupt", "drift", mode="before")(_listed)

    @field_validator("corrupt", "drift")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            parse_corruptions(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _labels_have_rules(self) -> TaskSpec:
        fault = fault_of_labels(self.allow, self.defect_shots, self.contaminate, self.model_per)
        if fault:
            raise ValueError(fault)
        return self

    @property
    def size(self) -> int:
        """The number of units for each recipe; unnamed categories count as one."""
        return max(1, len(self.categories)) * len(self.shots) * len(self.seeds)

    def protocols(self) -> Iterator[Protocol]:
        """The protocols of the task, one for each number of shots."""
        rules = self.model_dump(include=Protocol.model_fields.keys() - {"shots"})
        for shots in self.shots:
            yield Protocol(shots=None if shots == "all" else shots, **rules)


class Grid(_Frozen):
    """A grid of axes: every combination is a recipe; a slot without an axis has the default of backbone or scorer."""

    augment: tuple[Part | None, ...] | None = None
    preprocess: tuple[tuple[Part, ...], ...] | None = None
    backbone: tuple[Part, ...] = Field(min_length=1)
    tune: tuple[Part | None, ...] | None = None
    neck: tuple[tuple[Part, ...], ...] | None = None
    masker: tuple[Part | None, ...] | None = None
    bank: tuple[Part, ...] | None = None
    scorer: tuple[Part, ...] = Field(min_length=1)
    aggregate: tuple[Part, ...] | None = None
    features: Literal["float32", "float16"] = "float32"

    _one = field_validator("backbone", "bank", "scorer", "aggregate", mode="before")(_listed)

    @field_validator("augment", "tune", "masker", mode="before")
    @classmethod
    def _none_is_none(cls, value: Any) -> Any:
        return [None if item == "none" else item for item in _listed(value)] if value is not None else None

    @field_validator("preprocess", "neck", mode="before")
    @classmethod
    def _steps(cls, value: Any) -> Any:
        """A list of choices: each is one part, a list of parts, or none."""
        if value is None:
            return None
        return [[] if choice == "none" else _listed(choice) for choice in _listed(value)]

    @property
    def size(self) -> int:
        """The number of combinations."""
        return math.prod(map(len, self._axes().values()))

    def _axes(self) -> dict[str, tuple[Any, ...]]:
        return {slot: getattr(self, slot) for slot in _NAMED if getattr(self, slot) is not None}

    def recipes(self) -> Iterator[Recipe]:
        """The recipes of all combinations, backbones first.

        Raises:
            UsageError: there are more than `MAX_RECIPES`.
        """
        if self.size > MAX_RECIPES:
            raise UsageError(f"a grid of {self.size} combinations is more than {MAX_RECIPES}; name fewer parts at once")
        axes = self._axes()
        for choice in product(*axes.values()):
            parts = dict(zip(axes, choice, strict=True))
            yield Recipe(name=name_of(parts), features=self.features, **parts)


class Variant(_Frozen):
    """A recipe with some other parts: ``{recipe: padim, backbone: resnet18}``.

    In YAML a name alone is the unchanged recipe.
    """

    recipe: str = Field(description="a name, or a file; a relative path starts at the suite's file")
    name: str | None = Field(None, description="the name of its rows; default: the recipe's name and the parts'")
    augment: Part | None = None
    preprocess: tuple[Part, ...] | None = None
    backbone: Part | None = None
    tune: Part | None = None
    neck: tuple[Part, ...] | None = None
    masker: Part | None = None
    bank: Part | None = None
    scorer: Part | None = None
    aggregate: Part | None = None

    _one = field_validator("preprocess", "neck", mode="before")(_listed)

    @model_validator(mode="before")
    @classmethod
    def _a_name_alone(cls, value: Any) -> Any:
        return {"recipe": value} if isinstance(value, str) else value

    def recipe_of(self, registry: Registry) -> Recipe:
        """The recipe with its other parts.

        Raises:
            UnknownName, UsageError: there is no such recipe, its file is invalid, or `name` is not allowed.
        """
        changed = {slot: part for slot in _NAMED if (part := getattr(self, slot)) is not None}
        recipe = named_recipe(self.recipe, registry).with_parts(changed)
        return recipe if self.name is None else recipe.named(self.name)


class Suite(_Frozen):
    """The content of a suite's file."""

    suite: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    title: str = ""
    boards: tuple[str, ...] = Field((), description="boards whose tasks are used, such as mvtec-ad/full-shot")
    tasks: tuple[TaskSpec, ...] = ()
    recipes: tuple[Variant, ...] = Field((), description="names, files, or one of these with other parts")
    grid: Grid | None = None

    @model_validator(mode="after")
    def _something(self) -> Suite:
        if not (self.tasks or self.boards):
            raise ValueError("name tasks or boards: the data and the protocol of every method")
        if not (self.recipes or self.grid):
            raise ValueError("name recipes or a grid: the methods to run")
        return self


def read_suite(path: Path) -> Suite:
    """The suite in a YAML file, with absolute paths.

    Raises:
        UsageError: the file is unreadable, is not YAML, or is not a suite.
    """
    try:
        suite = Suite.model_validate(read_yaml(path, "a suite", MAX_SUITE_BYTES))
    except ValidationError as error:
        raise UsageError(f"suite {path}: {'; '.join(_faults(error))}") from None
    except StorageError as error:
        raise UsageError(f"suite {error}") from None
    _require_bounded(suite, path)
    tasks = tuple(task.model_copy(update={"data": _located(task.data, path)}) for task in suite.tasks)
    recipes = tuple(item.model_copy(update={"recipe": _located(item.recipe, path)}) for item in suite.recipes)
    return suite.model_copy(update={"tasks": tasks, "recipes": recipes})


def _require_bounded(suite: Suite, path: Path) -> None:
    """Raise `UsageError` if the suite is too large for any machine, before it is expanded."""
    recipes = len(suite.recipes) + (suite.grid.size if suite.grid else 0)
    units = recipes * sum(task.size for task in suite.tasks)
    if recipes > MAX_RECIPES:
        raise UsageError(
            f"suite {path}: it has {recipes} recipes, more than {MAX_RECIPES}; split it into several suites"
        )
    if units > MAX_UNITS:
        raise UsageError(f"suite {path}: it has {units} units, more than {MAX_UNITS}; split it into several suites")


def _faults(error: ValidationError) -> Iterator[str]:
    """A sentence for each of the first faults."""
    faults = error.errors()
    for fault in faults[:SHOWN_FAULTS]:
        spot = one_line(".".join(str(part) for part in fault["loc"]), 100) or "suite"
        yield f"{spot}: {fault['msg'].removeprefix('Value error, ')}"
    if len(faults) > SHOWN_FAULTS:
        yield f"and {len(faults) - SHOWN_FAULTS} more"


def _located(text: str, file: Path) -> str:
    """An absolute path, from one that starts at the suite's folder; a name stays a name."""
    return str((file.parent / text).resolve()) if "/" in text and not Path(text).is_absolute() else text


def recipes_of(suite: Suite, registry: Registry) -> list[Recipe]:
    """The recipes of a suite: named ones first, then those of the grid.

    Raises:
        UsageError: parts, options or recipes do not exist; one message lists all of them.
    """
    recipes: list[Recipe] = []
    faults: list[str] = []
    for variant in suite.recipes:
        try:
            recipes.append(variant.recipe_of(registry))
        except AdbenchError as error:
            faults.append(str(error))
    recipes += suite.grid.recipes() if suite.grid else []
    faults += unknown_parts(recipes, registry)
    if faults:
        raise UsageError(f"suite {suite.suite!r} has unknown names: {'; '.join(faults)}")
    return recipes


def unknown_parts(recipes: Sequence[Recipe], registry: Registry) -> list[str]:
    """A sentence for each part, or option of one, that does not exist."""
    sentences: dict[str, None] = {}
    for recipe in recipes:
        for slot, kind in SLOTS.items():
            for part in parts_in(recipe, slot):
                try:
                    part.make(kind, registry)
                except (UnknownName, UsageError) as error:
                    sentences.setdefault(str(error))
    return list(sentences)


def assignments_of(spec: TaskSpec, dataset: Dataset) -> list[Assignment]:
    """The assignments of a task, one for each number of shots."""
    extras = parse_corruptions(spec.corrupt), parse_drifts(spec.drift)
    return [Assignment(dataset, protocol, spec.categories, spec.seeds, *extras) for protocol in spec.protocols()]


def installed_parts(registry: Registry, kind: str) -> tuple[list[Part], list[str]]:
    """All installed parts of a kind with default options, without toys, and a sentence for each that cannot be made."""
    parts: list[Part] = []
    cannot: list[str] = []
    for entry in registry.entries(kind):
        if entry.name.startswith("toy-"):
            continue
        try:
            made(entry.cls)
        except (UsageError, PluginError) as error:
            cannot.append(f"{kind} {entry.name!r} cannot be made with its defaults: {error}")
        else:
            parts.append(Part(name=entry.name))
    return parts, cannot
