"""The recipe of finished runs, as a file that a detector is made of."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adbench import UsageError
from adbench.records import read_records

DATASET = "mvtec-ad-2"
_LISTS = ("preprocess", "neck")
_KEPT = ("map", "features")


@contextmanager
def recipe_file(runs: Path) -> Iterator[Path]:
    """A file with the recipe of runs, for as long as the block lasts.

    Args:
        runs: a run's folder, or a folder of runs of one method.

    Raises:
        StorageError: there is no record.
        UsageError: the runs are of several methods, of none on MVTec AD 2, or an option of the recipe is a file.
    """
    recipe = _recipe_in(runs)
    with tempfile.TemporaryDirectory(prefix="adbench-submit-") as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(json.dumps(recipe), encoding="utf-8")
        yield file


def _recipe_in(runs: Path) -> dict[str, Any]:
    records = [record for record in read_records(runs) if record.task.dataset.startswith(DATASET)]
    methods = {record.recipe.spec_sha: record.recipe for record in records}
    if len(methods) != 1:
        names = ", ".join(sorted({recipe.name for recipe in methods.values()})) or "no run on mvtec-ad-2"
        raise UsageError(f"{runs}: one method is submitted, and there are: {names}; name one run, or --recipe")
    ((spec, name),) = ((recipe.spec, recipe.name) for recipe in methods.values())
    slots = {slot: value for slot, value in spec.items() if isinstance(value, list) and slot != "tuned_on"}
    parts = {slot: [_part(slot, item) for item in items] for slot, items in slots.items()}
    filled = {slot: found if slot in _LISTS else found[0] for slot, found in parts.items() if found or slot in _LISTS}
    return {"recipe": name, **filled, **{key: spec[key] for key in _KEPT if key in spec}}


def _part(slot: str, item: Any) -> dict[str, Any]:
    try:
        name, options = item["name"], item["options"]
        files = [key for key, value in options.items() if isinstance(value, dict) and "sha256" in value]
    except (TypeError, KeyError, AttributeError):
        raise UsageError(f"its record has no usable {slot}; name a recipe with --recipe") from None
    if files:
        raise UsageError(f"option {files[0]!r} of {name!r} is a file that no record holds; name a recipe with --recipe")
    return {name: options}
