"""Options that several commands share, and what they mean: a recipe, a dataset, a protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from adbench.api.dataset import Dataset
from adbench.engine.protocol import Protocol
from adbench.engine.spec import Part, Recipe, read_recipe, slot_title
from adbench.errors import UnknownName, UsageError
from adbench.registry import Registry

Function = TypeVar("Function", bound=Callable[..., Any])

_PART = "NAME or NAME:OPTION=VALUE,..."

_METHOD_OPTIONS = (
    click.option("--recipe", metavar="NAME|FILE", help="A recipe by name, or a recipe file."),
    click.option("--backbone", metavar="PART", help=f"What the method sees: {_PART}."),
    click.option("--bank", metavar="PART", help="What it remembers of normal images; the scorer names the default."),
    click.option("--scorer", metavar="PART", help="How far from normal a patch is."),
    click.option("--preprocess", metavar="PART", multiple=True, help="Preparation of images; repeat for several."),
    click.option(
        "--neck", metavar="PART", multiple=True, help="Changes to features; repeat for several, 'none' for none."
    ),
    click.option("--masker", metavar="PART", help="Finds the object, so that the background is left out."),
    click.option("--aggregate", metavar="PART", help="Patch scores to an image score."),
)
_TASK_OPTIONS = (
    click.option("--data", default="mvtec-ad", show_default=True, metavar="NAME|PATH", help="A dataset, or a folder."),
    click.option("--category", multiple=True, help="Only this category; repeat for several."),
    click.option("--shots", type=click.IntRange(1), help="Learn from so many normal images, drawn by the seed."),
    click.option("--limit-train", type=click.IntRange(1), metavar="N", help="Only the first N normal images by name."),
    click.option(
        "--limit-test", type=click.IntRange(1), metavar="N", help="Only the first N images of each test folder."
    ),
    click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, default=(0,), show_default=True),
    click.option("--evaluation", default="original", show_default=True, metavar="original|N", help="Evaluation grid."),
)


def method_options(function: Function) -> Function:
    """Add the options that choose a method."""
    return _add(function, _METHOD_OPTIONS)


def task_options(function: Function) -> Function:
    """Add the options that choose data and protocol."""
    return _add(function, _TASK_OPTIONS)


def _add(function: Function, options: Sequence[Callable[[Any], Any]]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function


def recipe_from(registry: Registry, recipe: str | None, slots: dict[str, Any]) -> Recipe:
    """The recipe that the options describe: a named one with some parts replaced, or one put together by hand.

    Raises:
        UsageError: neither a recipe nor backbone and scorer are named.
        UnknownName: no such recipe.
    """
    parts = _parts(slots)
    if recipe is not None:
        path = Path(recipe)
        file = path if path.suffix in (".yaml", ".yml") else registry.recipe(recipe).path
        return read_recipe(file).with_parts(parts)
    if "backbone" not in parts or "scorer" not in parts:
        raise UsageError(
            "name a method: --recipe NAME (see 'adbench list recipe'), or --backbone and --scorer,"
            " such as --backbone dinov3 --scorer knn"
        )
    shown = [slot_title(parts[slot]) for slot in ("backbone", "neck", "bank", "scorer", "aggregate") if parts.get(slot)]
    return Recipe(name="+".join(shown)[:100], **parts)


def _parts(slots: dict[str, Any]) -> dict[str, Any]:
    """Parsed parts of the slots that the command line names."""
    parts: dict[str, Any] = {}
    for slot, text in slots.items():
        if isinstance(text, tuple) and text:
            parts[slot] = () if text == ("none",) else tuple(Part.parse(item) for item in text)
        elif isinstance(text, str):
            parts[slot] = Part.parse(text)
    return parts


def dataset_from(registry: Registry, data: str) -> Dataset:
    """The dataset that ``--data`` names: a registered one, or a folder.

    Raises:
        UnknownName: neither a dataset nor a folder of this name.
    """
    known = [entry.name for entry in registry.entries("dataset")]
    if data.partition(":")[0] in known:
        part = Part.parse(data)
    elif Path(data).exists() or "/" in data or "\\" in data:
        part = Part(name="folder", options={"root": data})
    else:
        raise UnknownName("dataset or folder", data, known)
    return cast("Dataset", part.make("dataset", registry))


def protocol_from(shots: int | None, limit_train: int | None, limit_test: int | None, evaluation: str) -> Protocol:
    """The protocol that the options describe.

    Raises:
        UsageError: `evaluation` is neither "original" nor a side in pixels.
    """
    if evaluation != "original" and not (evaluation.isdigit() and 1 <= int(evaluation) <= 1 << 14):
        raise UsageError(f"--evaluation {evaluation!r}: give 'original' or the side of a square in pixels, such as 256")
    grid: Any = evaluation if evaluation == "original" else int(evaluation)
    return Protocol(shots=shots, limit_train=limit_train, limit_test=limit_test, evaluation=grid)
