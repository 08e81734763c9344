"""Whether parts can work together, in sentences. Looks at classes and options only; loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from adbench.api.backbone import Backbone
from adbench.api.bank import Bank, Source
from adbench.api.component import Component
from adbench.api.scorer import Scorer
from adbench.api.stages import Aggregator, Masker, Neck
from adbench.engine.plan.protocol import Protocol
from adbench.errors import IncompatibleParts


def why_not(components: Mapping[str, list[Component]], protocol: Protocol) -> list[str]:
    """Every reason why these parts cannot run together under the protocol; empty when they can.

    Args:
        components: parts by slot, as `spec.components_of` makes them.
        protocol: what a method is allowed.
    """
    bank, scorer = cast("Bank", components["bank"][0]), cast("Scorer", components["scorer"][0])
    return [
        *_bank_kind(bank, scorer),
        *_fields(components),
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
    """Each part's needs against what the backbone and the parts before it provide; the engine gives the images."""
    backbone = cast("Backbone", components["backbone"][0])
    there = {*backbone.provides(backbone.config), "images"}
    later = [part for slot in ("neck", "masker", "bank", "scorer", "aggregate") for part in components[slot]]
    for part in later:
        for field in sorted(part.needs - there - {"class_name"}):
            yield f"{part.title} needs {field!r}, which {backbone.title} does not provide here{_advice(field)}"
        if isinstance(part, Neck):
            there |= part.provides(part.config)
        elif isinstance(part, Masker):
            there.add("foreground")


def _advice(field: str) -> str:
    return "; add the neck 'concat-layers' or name a single layer" if field == "patches" else ""


def learns_from(components: Mapping[str, list[Component]]) -> dict[Source, Component]:
    """What a method learns from, and a part that does: necks that learn do so from the normal images."""
    sources: dict[Source, Component] = {}
    for neck in components["neck"]:
        if cast("Neck", neck).learns:
            sources[Source.TRAIN] = neck
    bank = cast("Bank", components["bank"][0])
    sources[bank.learns_from] = bank
    return sources


def _protocol(components: Mapping[str, list[Component]], protocol: Protocol) -> Iterator[str]:
    for source, part in learns_from(components).items():
        if source not in protocol.allow:
            allowed = ", ".join(source.value for source in protocol.allow)
            yield f"{part.title} learns from {source.value}; the protocol allows only {allowed}"


def _views(components: Mapping[str, list[Component]]) -> Iterator[str]:
    if Source.TRAIN not in learns_from(components):
        for augmenter in components.get("augment", ()):
            yield f"{augmenter.title} shows normal images in more views, but no part here learns from normal images"


def _dropping(maskers: list[Component], bank: Bank) -> Iterator[str]:
    for masker in maskers:
        if cast("Masker", masker).config.bank == "drop" and not bank.drops:
            yield f"{masker.title} is to leave patches out of {bank.title}, which keeps whole images"


def _class_names(components: Mapping[str, list[Component]], protocol: Protocol) -> Iterator[str]:
    if protocol.class_names:
        return
    for part in (part for parts in components.values() for part in parts if "class_name" in part.needs):
        yield f"{part.title} needs the object's name, which the protocol does not grant"


def cannot_aggregate(scorer: Scorer, aggregator: Aggregator) -> Iterator[str]:
    """Every reason why an aggregator cannot make image scores of what a scorer gives, or would ignore half of it."""
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
