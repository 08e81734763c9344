"""What follows from the rest of a record, derived anew: nobody is believed for it. Loads nothing, and no torch."""

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
from adbench.registry import Registry

ROUNDING = 1e-6
"""By how much a metric of the same raw scores may differ between processors."""
TOLERANCE = 1e-3
"""By how much a fact, such as the recall of a search, may differ between machines."""


class Difference(NamedTuple):
    """One thing that a record says, and what came out."""

    what: str
    said: Any
    found: Any


class Declarations:
    """What installed components declare, asked once for each recipe and protocol.

    Args:
        registry: of the components.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def contradiction(self, record: ResultRecord) -> str:
        """Why a record's regime is not what its components are given; empty where it is.

        Components are asked as they are installed, whatever version the record names: what a bank learns from is what
        it is. Where one is not installed, only what the spec itself shows is looked at.

        Args:
            record: may be a stranger's.
        """
        regime, spec = record.regime, record.recipe.spec
        try:
            if names_a_category(spec, [record.task.category]) and not regime.tuned_per_category:
                return _sentence("tuned_per_category", said=False, found=True)
            declared = self._declared(record)
        except (AttributeError, IndexError, KeyError, TypeError, ValidationError):
            return "its spec is no recipe, or its protocol none; run it again"
        for name, found in declared.items():
            if getattr(regime, name) != found:
                return _sentence(name, said=getattr(regime, name), found=found)
        if regime.anomalies and not declared.get("train_images", 1):
            return _sentence("anomalies", said=True, found=False)
        return ""

    def _declared(self, record: ResultRecord) -> dict[str, Any]:
        key = record.recipe.spec_sha, canonical_json(record.task.protocol)
        if key not in self._known:
            self._known[key] = _declared(record, self._registry)
        declared = dict(self._known[key])
        if declared:
            declared["train_images"] *= record.task.train
        return declared


def _sentence(name: str, *, said: object, found: object) -> str:
    return (
        f"its regime says {name} is {said}, and from its components it is {found}: it was edited, or its components"
        " are others; run it again"
    )


def _declared(record: ResultRecord, registry: Registry) -> dict[str, Any]:
    """The part of the regime that the components decide, as if there was one training image.

    Nothing where one of them is not installed.
    """
    made: dict[str, list[Component]] = {}
    whole = True
    for slot, kind in SLOTS.items():
        made[slot] = []
        for item in record.recipe.spec.get(slot) or ():
            if (kind, item["name"]) not in registry.components:
                return {}
            part, complete = _asked(registry.get(kind, item["name"]).cls, item.get("options") or {})
            made[slot].append(part)
            whole = whole and complete
    declared = declared_by(made, Protocol.model_validate(record.task.protocol), 1)
    if not whole:  # an option may decide whether a component reads the object's name
        del declared["class_names"]
    return declared


def _asked(cls: type[Component], options: Mapping[str, Any]) -> tuple[Component, bool]:
    """A component to be asked for its declarations, and whether its options are all there.

    A record knows a file only by its hash: without its file, or with an option that is no longer one, the class itself
    answers, whose declarations are the same.
    """
    files = [name for name, value in options.items() if isinstance(value, dict) and value.keys() == {"file", "sha256"}]
    try:
        return cls(**{name: value for name, value in options.items() if name not in files}), not files
    except Exception:  # noqa: BLE001  a stranger's options may make a component raise anything
        return cls, False  # type: ignore[return-value]


def duplicates(record: ResultRecord, dataset: Dataset) -> tuple[str, ...] | None:
    """Test images of a record that it learns from too; None where its data is not here, or is not what it was.

    Args:
        record: of a unit.
        dataset: by the record's name.
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
    """Image metrics of a record that do not follow from its raw scores; masks are not needed, nor images.

    Args:
        record: may be a stranger's.
        predictions: its raw scores.
        labels: whether an image shows a defect, by its id, of all of them.
        metrics: that are installed.
    """
    shown = np.array([labels[name] for name in predictions.ids])
    evidence = Evidence(labels=shown, scores=predictions.scores)
    for metric in metrics:
        said = record.metrics.get(metric.name)
        if metric.level == "image" and said is not None and said.version == metric.version:
            found = metric.measure(evidence).value
            if (said.value is None) != (found is None) or abs((said.value or 0) - (found or 0)) > ROUNDING:
                yield Difference(metric.name, said.value, found)


def differences(before: ResultRecord, after: ResultRecord) -> Iterator[Difference]:
    """Everything but metrics and costs that a record says otherwise than the same unit, run again.

    What an older record does not say is not compared.

    Args:
        before: of a unit.
        after: of the same unit, run here.
    """
    pairs: list[tuple[str, Any, Any]] = [("id", before.id, after.id), ("status", before.status, after.status)]
    pairs += [(f"task.{name}", *_both(before.task, after.task, name)) for name in ("train", "test", "samples_sha")]
    pairs += [("task.skipped", sorted(before.task.skipped), sorted(after.task.skipped))]
    pairs += [
        (f"regime.{name}", *_both(before.regime, after.regime, name)) for name in type(before.regime).model_fields
    ]
    pairs += [("recipe.parts", _parts(before), _parts(after)), ("weights", _weights(before), _weights(after))]
    if before.task.duplicates is not None:
        pairs.append(("task.duplicates", sorted(before.task.duplicates), sorted(after.task.duplicates or ())))
    if before.drew is not None:
        pairs.append(("drew", before.drew, after.drew))
    yield from (Difference(*pair) for pair in pairs if pair[1] != pair[2])
    for name, said in sorted(before.facts.items()):
        found = after.facts.get(name)
        if found is None or abs(said - found) > TOLERANCE * max(1.0, abs(found)):
            yield Difference(f"facts.{name}", said, found)


def _both(before: object, after: object, name: str) -> tuple[Any, Any]:
    return getattr(before, name), getattr(after, name)


def _parts(record: ResultRecord) -> list[tuple[str, str, int]]:
    """Who publishes a part, and in which release, may differ."""
    return sorted((part.kind, part.name, part.version) for part in record.recipe.parts)


def _weights(record: ResultRecord) -> list[str]:
    """By content: the same weights may come from elsewhere."""
    return sorted(weights.sha256 for weights in record.provenance.weights)
