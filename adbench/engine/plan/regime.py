"""What a method is given, derived from what its components declare: nobody types it in."""

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
    """The parts of a `Regime` that the components and the training images decide, by name.

    Args:
        components: parts by slot.
        protocol: what a method is allowed.
        train: the training images that there are.
    """
    return {
        **declared_by(components, protocol, len(train)),
        "anomalies": Source.TRAIN in learns_from(components) and any(sample.anomalous for sample in train),
    }


def declared_by(components: Components, protocol: Protocol, train_images: int) -> dict[str, Any]:
    """What the components alone decide, so that it can be derived again from a record."""
    sources = learns_from(components)
    return {
        "train_images": train_images if Source.TRAIN in sources else 0,
        "test_set": Source.TEST in sources,
        "class_names": protocol.class_names and any("class_name" in part.needs for part in _parts(components)),
    }


def names_a_category(spec: Mapping[str, Any], categories: Iterable[str]) -> bool:
    """Whether an option of the recipe names a category of the dataset, and so treats it in its own way.

    Args:
        spec: of the recipe, as records have it.
        categories: of the dataset.
    """
    known = set(categories)
    options = [part.get("options") for slot in SLOTS for part in spec.get(slot) or ()]
    return any(word in known for word in _words(options))


def _parts(components: Components) -> Iterator[Component]:
    return (part for parts in components.values() for part in parts)


def _words(value: Any) -> Iterator[str]:
    """Every text in nested options, keys of mappings included; names of options are the component's own words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)


def _names(value: Any) -> Iterator[str]:
    """The texts of one option: of a mapping its keys, too."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    yield from _words(value)
