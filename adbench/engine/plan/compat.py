"""Compatibility of parts: reasons in sentences, from classes and options only, without loading anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, cast

from adbench.api.backbone import Backbone
from adbench.api.bank import Bank, Source
from adbench.api.component import Component
from adbench.api.scorer import Scorer
from adbench.api.stages import Aggregator, Masker, Neck, Preprocessor
from adbench.engine.plan.protocol import Protocol
from adbench.errors import IncompatibleParts


def why_not(components: Mapping[str, list[Component]], protocol: Protocol) -> list[str]:
    """Every reason why these parts cannot run together under the protocol; empty if they can.

    Args:
        components: parts by slot, from `recipe.components_of`.
        protocol: the rules of the comparison.
    """
    bank, scorer = cast("Bank", components["bank"][0]), cast("Scorer", components["scorer"][0])
    return [
        *_bank_kind(bank, scorer),
        *_fields(components),
        *_tiles(components),
        *_tuning(components),
        *_protocol(components, protocol),
        *_views(components),
        *_dropping(components["masker"], bank),
        *_class_names(components, protocol),
        *cannot_aggregate(scorer, cast("Aggregator", components["aggregate"][0])),
    ]


def require_compatible(name: str, components: Mapping[str, list[Component]], protocol: Protocol) -> None:
    """Raise `IncompatibleParts` with all reasons, if there are any."""
    reasons = why_not(components, protocol)
    if reasons:
        raise IncompatibleParts(name, reasons)


def _bank_kind(bank: Bank, scorer: Scorer) -> Iterator[str]:
    if not isinstance(bank, scorer.bank):
        kinds = [cls.__name__ for cls in type(bank).__mro__ if Bank in cls.__bases__] or [type(bank).__name__]
        yield f"{scorer.title} reads {_a(scorer.bank.__name__)}; {bank.title} is {_a(kinds[0])}"


def _fields(components: Mapping[str, list[Component]]) -> Iterator[str]:
    """A sentence for each need of a part that neither the backbone nor an earlier part provides."""
    backbone = cast("Backbone", components["backbone"][0])
    tiled = any(step.tiling is not None for step in _steps(components))
    provided = {*backbone.provides(backbone.config), "images"} - ({"image"} if tiled else set())
    later = [part for slot in ("neck", "masker", "bank", "scorer", "aggregate") for part in components[slot]]
    for part in later:
        for field in sorted(part.needs - provided - {"class_name"}):
            advice = _advice(field, tiled=tiled)
            yield f"{part.title} needs {field!r}, which {backbone.title} does not provide here{advice}"
        if isinstance(part, Neck):
            provided |= part.provides(part.config)
        elif isinstance(part, Masker):
            provided.add("foreground")


def _advice(field: str, *, tiled: bool) -> str:
    if field == "image" and tiled:
        return ": it reads tiles, and no vector stands for the whole image; leave out the tiles"
    return "; add the neck 'concat-layers' or name a single layer" if field == "patches" else ""


def _steps(components: Mapping[str, list[Component]]) -> list[Preprocessor]:
    return [cast("Preprocessor", step) for step in components.get("preprocess", ())]


def _tiles(components: Mapping[str, list[Component]]) -> Iterator[str]:
    """Tiles are what the backbone reads: the last step of the preparation, and one step alone."""
    for step, later in pairwise(_steps(components)):
        if step.tiling is not None:
            yield f"{step.title} cuts the image into tiles for the backbone: put {later.title} before it or omit it"


def _tuning(components: Mapping[str, list[Component]]) -> Iterator[str]:
    """A tuner trains a torch network, on images that the network reads as a whole."""
    backbone = cast("Backbone", components["backbone"][0])
    for tuner in components.get("tune", ()):
        if not backbone.tunable:
            yield f"{tuner.title} trains a torch network; {backbone.title} is none"
        if any(step.tiling is not None for step in _steps(components)):
            yield f"{tuner.title} reads prepared images as a whole, and here are tiles; leave out the tiles"


def learns_from(components: Mapping[str, list[Component]]) -> dict[Source, Component]:
    """The sources that a method learns from, each with a part that does; tuners and learning necks use TRAIN."""
    sources: dict[Source, Component] = {}
    for tuner in components.get("tune", ()):
        sources[Source.TRAIN] = tuner
    for neck in components["neck"]:
        if cast("Neck", neck).learns:
            sources[Source.TRAIN] = neck
    bank = cast("Bank", components["bank"][0])
    sources[bank.learns_from] = bank
    return sources


_IMAGES = {
    Source.NOTHING: ("no images", "a suite does with 'allow: [nothing]'"),
    Source.TRAIN: ("normal training images", "a suite does with 'allow: [train]'"),
    Source.LABELLED: (
        "labelled images",
        "--allow labelled --defect-shots 1 gives one labelled image of each type of defect",
    ),
    Source.TEST: ("test images", "--allow test gives the test images without their labels"),
}
"""What a source is for a reader, and the options that allow it."""


def _protocol(components: Mapping[str, list[Component]], protocol: Protocol) -> Iterator[str]:
    for source, part in learns_from(components).items():
        if source not in protocol.allow:
            images, advice = _IMAGES[source]
            yield f"{part.title} learns from {images}, which the protocol does not allow ({advice})"


def _views(components: Mapping[str, list[Component]]) -> Iterator[str]:
    if learns_from(components).keys().isdisjoint((Source.TRAIN, Source.LABELLED)):
        for augmenter in components.get("augment", ()):
            yield f"{augmenter.title} makes views of normal images, but no part here learns from normal images"


def _dropping(maskers: list[Component], bank: Bank) -> Iterator[str]:
    for masker in maskers:
        if cast("Masker", masker).config.bank == "drop" and not bank.drops:
            yield f"{masker.title} leaves out patches (bank=drop), but {bank.title} stores whole images"


def _class_names(components: Mapping[str, list[Component]], protocol: Protocol) -> Iterator[str]:
    if protocol.class_names:
        return
    for part in (part for parts in components.values() for part in parts if "class_name" in part.needs):
        way = "'adbench run --allow class-names' does, and 'adbench fit --class-name NAME'"
        yield f"{part.title} needs the object's name, which the protocol does not allow ({way})"


def cannot_aggregate(scorer: Scorer, aggregator: Aggregator) -> Iterator[str]:
    """Every reason why an aggregator cannot read a scorer's scores, or would ignore a part of them."""
    gives = scorer.gives(scorer.config)
    reads = {"both": {"patches", "image"}, "map": {"patches"}}.get(aggregator.reads, {aggregator.reads})
    for field in sorted(reads - gives):
        yield f"{aggregator.title} reads the {field} score; {scorer.title} gives only {_list(gives)} here"
    if reads <= gives and "image" in gives - reads:
        yield (
            f"{scorer.title} computes the image score itself here, which {aggregator.title} would ignore;"
            " use the aggregator 'scorer', or switch that option of the scorer off"
        )


def _list(values: Any) -> str:
    return ", ".join(sorted(values))


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"
