"""Reproduction of a record: its unit from its recipe, its metrics from its raw scores."""

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
from adbench.registration.registry import Registry

_LISTS = ("preprocess", "neck")


class MetricComparison(NamedTuple):
    """A comparison of one metric in two records."""

    metric: str
    before: float | None
    after: float | None
    agrees: bool


def unit_of(record: ResultRecord, dataset: Dataset, registry: Registry) -> Unit:
    """The unit of a record, to run it again.

    Raises:
        StorageError: the record's recipe or protocol is invalid.
        UsageError: a part is not installed in the record's version, or an option is a file, which no record contains.
        DataError: the images are not those of the record.
    """
    recipe, protocol = recipe_of(record, registry), protocol_of(record)
    task_of(record, dataset, protocol)
    return Unit(recipe, dataset, record.task.category, record.task.seed, protocol)


def recipe_of(record: ResultRecord, registry: Registry) -> Recipe:
    """The complete recipe of a record.

    Raises:
        StorageError: the record's spec is not a recipe.
        UsageError: the recipe cannot run here; the message gives the reason.
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
        raise StorageError(f"its spec is not a recipe: {' '.join(str(error).split())[:200]}; run it again") from None


def part_of(slot: str, item: Mapping[str, Any], registry: Registry) -> Part:
    """The part of an entry in a record's spec.

    Raises:
        UsageError: it is not installed in the record's version, or an option is a file, which no record contains.
    """
    kind = SLOTS[slot]
    here = registry.get(kind, item["name"]).cls.version
    if here != item["version"]:
        raise UsageError(
            f"{kind} {item['name']!r} has version {here} here but version {item['version']} in the record, so scores"
            " may differ; install the distributions that the record names"
        )
    for option, value in item["options"].items():
        if isinstance(value, dict) and value.keys() == {"file", "sha256"}:
            raise UsageError(
                f"option {option!r} of {kind} {item['name']!r} is the file {value['file']!r}, which a record does not"
                " contain; run the recipe with that file, and compare"
            )
    return Part(name=item["name"], options=item["options"])


def protocol_of(record: ResultRecord) -> Protocol:
    """The protocol of a record; raises `StorageError` if it is invalid."""
    try:
        return Protocol.model_validate(record.task.protocol)
    except ValidationError as error:
        raise StorageError(f"its record has no usable protocol: {error.errors()[0]['msg']}; run it again") from None


def task_of(record: ResultRecord, dataset: Dataset, protocol: Protocol) -> Task:
    """The task of a record: its images.

    Raises:
        DataError: the images are not those of the record.
    """
    task = make_task(dataset, record.task.category, protocol, record.task.seed, skip_bad=bool(record.task.skipped))
    if task.sha != record.task.samples_sha:
        raise DataError("the images or masks are not those of the run; give the same data with --data")
    return task


def evaluator_of(folder: Path, record: ResultRecord, dataset: Dataset) -> Evaluator:
    """The evaluator of a run's raw scores.

    Raises:
        StorageError: the run has no usable predictions.
        DataError: the images are not those of the record.
    """
    if record.predictions is None:
        raise StorageError(f"it ended as {record.status!r}, without predictions")
    predictions, protocol = read_predictions(folder, record.predictions), protocol_of(record)
    try:
        spec = MapSpec.model_validate(record.recipe.spec.get("map"))
    except ValidationError as error:
        raise StorageError(f"its record has no usable map: {error.errors()[0]['msg']}; run it again") from None
    return Evaluator(dataset, task_of(record, dataset, protocol).test, predictions, spec, protocol.grid)


def redeploy(rule: Rule, record: ResultRecord, evaluator: Evaluator) -> Threshold | None:
    """The threshold of a rule on a run's normal scores, or the reason why there are too few normal images.

    Args:
        rule: of the threshold.
        record: of the run.
        evaluator: of the run, with its predictions.

    Returns:
        None if the run stored no normal scores and the rule needs them.
    """
    from adbench.engine.evaluate.folds import too_few

    evidence, normal = evaluator.evidence(), evaluator.predictions.normal
    if normal is None:
        task = task_of(record, evaluator.dataset, protocol_of(record))
        normal = too_few(rule, task.train, task.digests, Context(seed=record.task.seed))
    return None if normal is None else deploy(rule, normal, evidence.labels, evidence.scores)


def compare(before: ResultRecord, after: ResultRecord, tolerance: float) -> Iterator[MetricComparison]:
    """Comparisons of every metric in two records, by name. Figures of different versions never agree.

    Args:
        before: a record of a unit.
        after: another record of the same unit.
        tolerance: the largest allowed difference, as a fraction.
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
