"""What a record tells of is done again: its unit from its recipe, its figures from its raw scores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from adbench.api.context import Context
from adbench.api.dataset import Dataset
from adbench.engine.evaluate.evaluator import Evaluator
from adbench.engine.evaluate.threshold import Threshold, deploy
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.protocol import Protocol, Task, make_task
from adbench.engine.plan.recipe import SLOTS, Part, Recipe
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.store.predictions import read_predictions
from adbench.engine.store.record import ResultRecord
from adbench.errors import DataError, StorageError, UsageError
from adbench.registry import Registry

_LISTS = ("preprocess", "neck")


class MetricComparison(NamedTuple):
    """One metric, as it was and as it is now."""

    metric: str
    before: float | None
    after: float | None
    agrees: bool


def unit_of(record: ResultRecord, dataset: Dataset, registry: Registry) -> Unit:
    """The unit that a record tells of, to be run again.

    Raises:
        StorageError: the record's recipe or protocol is none.
        UsageError: parts are not installed in the record's version, or an option is a file that no record carries.
        DataError: the images are not those of the record.
    """
    recipe, protocol = recipe_of(record, registry), protocol_of(record)
    task_of(record, dataset, protocol)
    return Unit(recipe, dataset, record.task.category, record.task.seed, protocol)


def recipe_of(record: ResultRecord, registry: Registry) -> Recipe:
    """The complete recipe in a record.

    Raises:
        StorageError: it is none.
        UsageError: it cannot be run here; the message says why.
    """
    spec = record.recipe.spec
    name = record.recipe.name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", record.recipe.name) else "recipe"
    try:
        slots = {slot: [part_of(slot, item, registry) for item in spec.get(slot) or ()] for slot in SLOTS}
        filled = {
            slot: parts if slot in _LISTS else parts[0] for slot, parts in slots.items() if parts or slot in _LISTS
        }
        rest = {key: spec[key] for key in ("map", "features", "tuned_on") if key in spec}
        return Recipe.model_validate({"recipe": name, **filled, **rest})
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"its spec is no recipe: {' '.join(str(error).split())[:200]}; run it anew") from None


def part_of(slot: str, item: Mapping[str, Any], registry: Registry) -> Part:
    """A part as a record's spec has it.

    Raises:
        UsageError: it is not installed in the record's version, or an option is a file that no record carries.
    """
    kind = SLOTS[slot]
    here = registry.get(kind, item["name"]).cls.version
    if here != item["version"]:
        raise UsageError(
            f"{kind} {item['name']!r} is version {here} here and was version {item['version']}: other scores are to be"
            " expected; install the distributions that the record names"
        )
    for option, value in item["options"].items():
        if isinstance(value, dict) and value.keys() == {"file", "sha256"}:
            raise UsageError(
                f"option {option!r} of {kind} {item['name']!r} is the file {value['file']!r}, which a record does not"
                " carry; run the recipe with that file, and compare"
            )
    return Part(name=item["name"], options=item["options"])


def protocol_of(record: ResultRecord) -> Protocol:
    """Raises `StorageError` if the record's protocol is none."""
    try:
        return Protocol.model_validate(record.task.protocol)
    except ValidationError as error:
        raise StorageError(f"its record has no usable protocol: {error.errors()[0]['msg']}; run it anew") from None


def task_of(record: ResultRecord, dataset: Dataset, protocol: Protocol) -> Task:
    """The images of a record.

    Raises:
        DataError: they are not those that it was made on.
    """
    task = make_task(dataset, record.task.category, protocol, record.task.seed, skip_bad=bool(record.task.skipped))
    if task.sha != record.task.samples_sha:
        raise DataError("the images or masks are not those that it was made on; give the same data with --data")
    return task


def evaluator_of(folder: Path, record: ResultRecord, dataset: Dataset) -> Evaluator:
    """What joins a run's raw scores with their truth.

    Raises:
        StorageError: the run has no predictions that can be used.
        DataError: the images are not those of the record.
    """
    if record.predictions is None:
        raise StorageError(f"it ended as {record.status!r}, without predictions")
    predictions, protocol = read_predictions(folder, record.predictions), protocol_of(record)
    try:
        spec = MapSpec.model_validate(record.recipe.spec.get("map"))
    except ValidationError as error:
        raise StorageError(f"its record has no usable map: {error.errors()[0]['msg']}; run it anew") from None
    return Evaluator(dataset, task_of(record, dataset, protocol).test, predictions, spec, protocol.grid)


def deployed_again(rule: Rule, record: ResultRecord, judge: Evaluator) -> Threshold | None:
    """What a rule makes of the normal scores of a run, or why it makes nothing of as few normal images as there were.

    Args:
        rule: of the threshold.
        record: of the run.
        judge: of the run, with its predictions.

    Returns:
        None where the run kept no normal scores, and the rule could have used them.
    """
    from adbench.engine.evaluate.folds import too_few

    evidence, normal = judge.evidence(), judge.predictions.normal
    if normal is None:
        task = task_of(record, judge.dataset, protocol_of(record))
        normal = too_few(rule, task.train, task.digests, Context(seed=record.task.seed))
    return None if normal is None else deploy(rule, normal, evidence.labels, evidence.scores)


def compare(before: ResultRecord, after: ResultRecord, tolerance: float) -> Iterator[MetricComparison]:
    """Every metric that one of two records has, by name. Figures of different versions never agree.

    Args:
        before: of a unit.
        after: of the same unit.
        tolerance: by how much figures may differ, as a fraction.
    """
    for name in sorted({*before.metrics, *after.metrics}):
        one, other = before.metrics.get(name), after.metrics.get(name)
        values = [None if info is None else info.value for info in (one, other)]
        same = one is not None and other is not None and one.version == other.version
        if values[0] is None or values[1] is None:
            agrees = same and values[0] is values[1]
        else:
            agrees = same and abs(values[0] - values[1]) <= tolerance
        yield MetricComparison(name, values[0], values[1], agrees)
