"""Values of a record that are derived again instead of trusted; without loading components or torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from adbench.api.component import Component
from adbench.api.dataset import Dataset
from adbench.api.metric import Evidence, Metric
from adbench.engine.plan.protocol import Protocol, make_task
from adbench.engine.plan.recipe import SLOTS
from adbench.engine.plan.regime import declared_by, names_a_category
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import ResultRecord, canonical_json
from adbench.errors import AdbenchError
from adbench.registration.registry import Registry

ROUNDING = 1e-6
"""Tolerance for a metric of the same raw scores on different processors."""
TOLERANCE = 1e-3
"""Tolerance for a fact, such as the recall of a search, on different machines."""


class Difference(NamedTuple):
    """A difference between a record's value and the derived one."""

    what: str
    recorded: Any
    found: Any


class Declarations:
    """The declarations of installed components, derived once for each recipe and protocol.

    Args:
        registry: of the components.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def contradiction(self, record: ResultRecord) -> str:
        """The contradiction between a record's regime and its components, in a sentence; empty if there is none.

        It uses the installed components, whatever version the record has. If one is not installed, it checks only the
        spec.

        Args:
            record: may be untrusted.
        """
        regime, spec = record.regime, record.recipe.spec
        try:
            if names_a_category(spec, [record.task.category]) and not regime.tuned_per_category:
                return _sentence("tuned_per_category", recorded=False, found=True)
            declared = self._declared(record)
        except (AttributeError, IndexError, KeyError, TypeError, ValidationError):
            return "its spec is not a recipe, or its protocol is invalid; run it again"
        for name, found in declared.items():
            if getattr(regime, name) != found:
                return _sentence(name, recorded=getattr(regime, name), found=found)
        if regime.anomalies and not declared.get("train_images", 1):
            return _sentence("anomalies", recorded=True, found=False)
        return ""

    def _declared(self, record: ResultRecord) -> dict[str, Any]:
        key = record.recipe.spec_sha, canonical_json(record.task.protocol)
        if key not in self._known:
            self._known[key] = _declared(record, self._registry)
        declared = dict(self._known[key])
        if declared:
            declared["train_images"] *= record.task.train
        return declared


def _sentence(name: str, *, recorded: object, found: object) -> str:
    return (
        f"its regime says {name} is {recorded}, but its components give {found}: the record was edited, or other"
        " components are installed; run it again"
    )


def _declared(record: ResultRecord, registry: Registry) -> dict[str, Any]:
    """The fields of the regime that follow from the components, for one training image; empty if one is missing."""
    made: dict[str, list[Component]] = {}
    whole = True
    for slot, kind in SLOTS.items():
        made[slot] = []
        for item in record.recipe.spec.get(slot) or ():
            if (kind, item["name"]) not in registry.components:
                return {}
            part, complete = _made(registry.get(kind, item["name"]).cls, item.get("options") or {})
            made[slot].append(part)
            whole = whole and complete
    declared = declared_by(made, Protocol.model_validate(record.task.protocol), 1)
    if not whole:  # an option may decide whether a component reads the object's name
        del declared["class_names"]
    return declared


def _made(cls: type[Component], options: Mapping[str, Any]) -> tuple[Component, bool]:
    """A component for its declarations, and whether all its options are known.

    A record has only the hash of a file. Without the file, or with an option that no longer exists, the class itself is
    returned, which has the same declarations.
    """
    files = [name for name, value in options.items() if isinstance(value, dict) and value.keys() == {"file", "sha256"}]
    try:
        return cls(**{name: value for name, value in options.items() if name not in files}), not files
    except Exception:  # noqa: BLE001  a plugin's options may make a component raise anything
        return cls, False  # type: ignore[return-value]


def duplicates(record: ResultRecord, dataset: Dataset) -> tuple[str, ...] | None:
    """Test images of a record that are also training images; None if its data has changed or is not on this machine.

    Args:
        record: of a unit.
        dataset: with the record's name.
    """
    task = record.task
    try:
        found = make_task(
            dataset, task.category, Protocol.model_validate(task.protocol), task.seed, skip_bad=bool(task.skipped)
        )
    except (AdbenchError, ValidationError):
        return None
    return found.duplicates if found.sha == task.samples_sha else None


def other_figures(
    record: ResultRecord, predictions: Predictions, labels: Mapping[str, bool], metrics: Iterable[Metric]
) -> Iterator[Difference]:
    """Image metrics of a record that do not follow from its raw scores; this needs neither masks nor images.

    Args:
        record: may be untrusted.
        predictions: its raw scores.
        labels: for every image, by its id, whether it shows a defect.
        metrics: the installed metrics.
    """
    shown = np.array([labels[name] for name in predictions.ids])
    evidence = Evidence(labels=shown, scores=predictions.scores)
    for metric in metrics:
        info = record.metrics.get(metric.name)
        told = metric.level == "image" and all(getattr(evidence, name) is not None for name in metric.needs)
        if told and info is not None and info.version == metric.version:
            found = metric.measure(evidence).value
            if (info.value is None) != (found is None) or abs((info.value or 0) - (found or 0)) > ROUNDING:
                yield Difference(metric.name, info.value, found)


def differences(before: ResultRecord, after: ResultRecord) -> Iterator[Difference]:
    """Differences between two records of one unit, except in metrics and costs.

    Fields that an older record does not have are not compared.

    Args:
        before: a record of a unit.
        after: the record of the same unit, run here.
    """
    pairs: list[tuple[str, Any, Any]] = [("id", before.id, after.id), ("status", before.status, after.status)]
    pairs += [(f"task.{name}", *_both(before.task, after.task, name)) for name in ("train", "test", "samples_sha")]
    pairs += [("task.skipped", sorted(before.task.skipped), sorted(after.task.skipped))]
    pairs += [("task.exemplars", sorted(before.task.exemplars), sorted(after.task.exemplars))]
    pairs += [
        (f"regime.{name}", *_both(before.regime, after.regime, name)) for name in type(before.regime).model_fields
    ]
    pairs += [("recipe.parts", _parts(before), _parts(after)), ("weights", _weights(before), _weights(after))]
    if before.task.duplicates is not None:
        pairs.append(("task.duplicates", sorted(before.task.duplicates), sorted(after.task.duplicates or ())))
    if before.drew is not None:
        pairs.append(("drew", before.drew, after.drew))
    yield from (Difference(*pair) for pair in pairs if pair[1] != pair[2])
    for name, value in sorted(before.facts.items()):
        found = after.facts.get(name)
        if found is None or abs(value - found) > TOLERANCE * max(1.0, abs(found)):
            yield Difference(f"facts.{name}", value, found)


def _both(before: object, after: object, name: str) -> tuple[Any, Any]:
    return getattr(before, name), getattr(after, name)


def _parts(record: ResultRecord) -> list[tuple[str, str, int]]:
    """Parts by kind, name and version; their distributions may differ."""
    return sorted((part.kind, part.name, part.version) for part in record.recipe.parts)


def _weights(record: ResultRecord) -> list[str]:
    """Hashes of the weights; their sources may differ."""
    return sorted(weights.sha256 for weights in record.provenance.weights)
