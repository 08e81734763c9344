"""A record as experiment trackers want it: one name, flat parameters, figures and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class FlatRecord:
    """A record without nesting; all names are dotted, such as ``backbone.layers``.

    Attributes:
        id: of the record.
        title: method, category and seed, for people.
        well: whether the unit has a result.
        parameters: what the method and the task are; lists are JSON.
        metrics: figures as fractions, ends of their intervals (``image-auroc.low``), ``cost.`` and ``fact.``; those
            that could not be computed are left out.
        labels: what is no part of the identity: status, its reason, and where and when the unit ran.
    """

    id: str
    title: str
    well: bool
    parameters: Mapping[str, Scalar]
    metrics: Mapping[str, float]
    labels: Mapping[str, str]


def flat_record(record: Mapping[str, Any]) -> FlatRecord:
    """The record of a unit without nesting.

    Args:
        record: the JSON of a record, as the hook `job_finished` gives it.
    """
    recipe, task = record["recipe"], record["task"]
    return FlatRecord(
        id=record["id"],
        title=f"{recipe['name']} on {task['category']}, seed {task['seed']}",
        well=record["status"] == "ok",
        parameters=dict(_parameters(recipe, task)),
        metrics=dict(_metrics(record)),
        labels={name: text for name, text in _labels(record) if text},
    )


def _parameters(recipe: Mapping[str, Any], task: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    yield "recipe", recipe["name"]
    yield from ((name, task[name]) for name in ("dataset", "category", "seed"))
    yield from (("train_images", task["train"]), ("test_images", task["test"]))
    yield from _flat("protocol", task["protocol"])
    for slot, value in recipe["spec"].items():
        if not isinstance(value, list):
            yield from _flat(slot, value)
            continue
        for place, part in enumerate(value, 1):
            name = slot if len(value) == 1 else f"{slot}.{place}"
            yield from _part(name, part)


def _part(name: str, part: Any) -> Iterator[tuple[str, Scalar]]:
    """The parameters of one component: its name, and its options with a value."""
    if not isinstance(part, dict) or "name" not in part:
        yield from _flat(name, part)
        return
    yield name, str(part["name"])
    for option, value in part.get("options", {}).items():
        if value is not None:
            yield from _flat(f"{name}.{option}", value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, list):
        yield name, json.dumps(value, ensure_ascii=False)
    else:
        yield name, value


def _metrics(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, info in record["metrics"].items():
        if info["value"] is not None:
            yield name, info["value"]
        for end, value in zip(("low", "high"), info["interval"] or (), strict=False):
            yield f"{name}.{end}", value
    for name, value in _flat("cost", record["cost"] or {}):
        if isinstance(value, int | float):
            yield name, float(value)
    yield from ((f"fact.{name}", float(value)) for name, value in record["facts"].items())


def _labels(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("status", record["status"]), ("reason", record["reason"]))
    yield "dataset_revision", record["task"]["revision"]
    for name in ("adbench", "git", "python", "torch", "device", "runtime", "started"):
        yield name, record["provenance"][name] or ""
