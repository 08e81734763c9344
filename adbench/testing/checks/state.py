"""Rules about what a component keeps in files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from adbench import Backbone, Component, Neck, Scorer
from adbench.testing.check import Rule, Subject, require
from adbench.testing.checks.bank import contents
from adbench.testing.exercise import exercise, extracted, fingerprint, fitted, stream_for
from adbench.testing.toy_data import Toys, toys

FEWER = 10
"""Images of another unit: other ones, and as many as a scorer of several neighbours asks for."""


def check_state_survives(subject: Subject[Component]) -> None:
    """What a component keeps is there whenever it is asked, whatever another of its kind does meanwhile."""
    answer = _ready(subject, toys())
    before = fingerprint(answer())
    _meanwhile(subject)
    require(fingerprint(answer()) == before, "It answers otherwise after another unit; keep files in ctx.workdir.")


def _meanwhile(subject: Subject[Component]) -> None:
    """Another unit, on fewer images, with a scratch folder of its own that is gone afterwards."""
    given = toys()
    few = {name: getattr(given, name).first(FEWER) for name in ("train", "test", "labelled")}
    fewer = replace(given, **few)
    with tempfile.TemporaryDirectory(prefix="adbench-check-", ignore_cleanup_errors=True) as folder:
        exercise(replace(subject, ctx=replace(subject.ctx, workdir=Path(folder))), fewer)


def _ready(subject: Subject[Any], given: Toys) -> Callable[[], object]:
    """A component that has learned what it learns, as a function that makes it answer, as often as it is asked."""
    part = subject.ready()
    if isinstance(part, Scorer):
        bank = fitted(part, subject, given)
        return lambda: [part.score(query, bank) for query in given.test]
    if isinstance(part, Backbone):
        return lambda: extracted(part, given.batch)
    if isinstance(part, Neck):
        if part.learns:
            part.fit(given.train, subject.ctx)
        return lambda: [part.apply(query) for query in given.test]
    part.fit(stream_for(part, given), subject.ctx)
    return lambda: contents(part, given)


RULES: dict[str, tuple[Rule, ...]] = dict.fromkeys(("backbone", "bank", "neck", "scorer"), (check_state_survives,))
