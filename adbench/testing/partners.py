"""Finds the other parts for the test of a component: the bank of a scorer, the scorer of a bank, preparation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import torch

from adbench import AdbenchError, Backbone, Bank, Batch, Component, Preprocessor, Scorer, UsageError
from adbench.builtin import toy
from adbench.registration.faults import made
from adbench.registration.registry import installed
from adbench.testing.check import Unavailable


def bank_for(scorer: Scorer) -> Bank:
    """The bank that the scorer names as its default, else a toy of the kind that it reads, else any installed one.

    Raises:
        Unavailable: there is none.
    """
    bank = next(_banks(scorer), None)
    if bank is None:
        raise Unavailable(f"no installed bank is a {scorer.bank.__name__}")
    return bank


def _banks(scorer: Scorer) -> Iterator[Bank]:
    named = scorer.defaults(scorer.config).get("bank")
    if named is not None:
        with suppress(UsageError):  # it comes with a plugin that is not installed, or another check says what is wrong
            yield cast("Bank", _part("bank", named))
    yield from (cls() for cls in toy.BANKS if issubclass(cls, scorer.bank))
    others = (entry.cls for entry in installed().entries("bank") if issubclass(entry.cls, scorer.bank))
    for cls in others:
        with suppress(AdbenchError):  # a plugin's bank, which cannot be made without options
            yield cast("Bank", made(cls))


def toy_scorer_for(bank: Bank) -> Scorer | None:
    """The toy scorer that reads banks of this kind, if it is one of the six."""
    return next((cls() for cls in toy.SCORERS if isinstance(bank, cls.bank)), None)


def prepared_as_named(backbone: Backbone, batch: Batch) -> Batch:
    """The batch after the preparation that the backbone names as its default."""
    named = backbone.defaults(backbone.config).get("preprocess", [])
    steps = [cast("Preprocessor", _part("preprocessor", part)) for part in named]
    pairs = [_after(steps, image, place) for image, place in zip(batch.images, batch.geometry, strict=True)]
    return replace(batch, images=torch.stack([p[0] for p in pairs]), geometry=tuple(p[1] for p in pairs))


def _after(steps: list[Preprocessor], image: torch.Tensor, geometry: Any) -> tuple[torch.Tensor, Any]:
    for step in steps:
        image, geometry = step.apply(image, geometry)
    return image, geometry


def _part(kind: str, part: Any) -> Component:
    """A component from its name, or from a mapping of its name to options; the built-in toys need no registry."""
    name, options = (part, {}) if isinstance(part, str) else next(iter(part.items()))
    known = {cls.name: cls for cls in toy.BANKS} if kind == "bank" else {}
    cls = known.get(name) or installed().get(kind, name).cls
    return made(cls, options)
