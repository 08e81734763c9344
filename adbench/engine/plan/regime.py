"""The regime of a method, computed from its components' declarations, and never given by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from adbench.api.bank import Source
from adbench.api.component import Component
from adbench.api.dataset import Sample
from adbench.engine.plan.compat import learns_from
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import SLOTS

Components = Mapping[str, list[Component]]


def given_by(components: Components, protocol: Protocol, train: Sequence[Sample]) -> dict[str, Any]:
    """The fields of a `Regime` that follow from the components and the training images.

    Args:
        components: parts by slot.
        protocol: the rules of the comparison.
        train: the training images.
    """
    labelled = protocol.contaminate is None and any(sample.anomalous for sample in train)
    declared = declared_by(components, protocol, len(train))
    return {"anomalies": Source.TRAIN in learns_from(components) and labelled, **declared}


def declared_by(components: Components, protocol: Protocol, train_images: int) -> dict[str, Any]:
    """The fields of a `Regime` that follow from the components alone, and so from a record.

    Whether a method that learns from normal images saw labelled defects among them is a question of the dataset.
    """
    sources = learns_from(components)
    normal = not sources.keys().isdisjoint((Source.TRAIN, Source.LABELLED))
    return {
        "train_images": train_images if normal else 0,
        "test_set": Source.TEST in sources,
        "contamination": (protocol.contaminate or 0.0) if normal else 0.0,
        "all_categories": protocol.model_per == "dataset" and normal,
        "class_names": protocol.class_names and any("class_name" in part.needs for part in _parts(components)),
        **({"anomalies": True} if Source.LABELLED in sources else {}),
    }


def names_a_category(spec: Mapping[str, Any], categories: Iterable[str]) -> bool:
    """Whether an option of the recipe names a category of the dataset, so that the recipe treats it differently.

    Args:
        spec: the recipe's spec in a record.
        categories: of the dataset.
    """
    known = set(categories)
    options = [part.get("options") for slot in SLOTS for part in spec.get(slot) or ()]
    return any(word in known for word in _words(options))


def _parts(components: Components) -> Iterator[Component]:
    return (part for parts in components.values() for part in parts)


def _words(value: Any) -> Iterator[str]:
    """Every text in nested options, including keys of mappings, but not the names of options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)


def _names(value: Any) -> Iterator[str]:
    """The texts of one option, including the keys of a mapping."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    yield from _words(value)
