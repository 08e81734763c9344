"""What has to hold before anything is ranked: records are what adbench wrote, and their images may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from adbench import Table, Weights
from adbench.boards.annotations import annotation_rows
from adbench.boards.board import Board
from adbench.boards.text import plain
from adbench.boards.tidy import Tidy, tidy
from adbench.engine.record import ResultRecord, identity

SHOWN = 6


def forged(record: ResultRecord) -> str:
    """Why a record is not as adbench writes them; empty if it is.

    A hash is no signature: who makes a record up from nothing is found out by `adbench board verify`, which runs it.
    """
    task, regime = record.task, record.regime
    if record.id != identity(record.recipe.spec_json, task.category, task.samples_sha, task.protocol, task.seed):
        return "its id does not follow from its recipe and task: it was edited; run it again"
    if regime.train_images not in (0, task.train):
        return f"it learned from {regime.train_images} images of {task.train}: it was edited; run it again"
    untrained = any(Weights(weights.name, weights.sha256).random for weights in record.provenance.weights)
    if untrained and not regime.random_weights:
        return "its weights are random, and its regime denies it: it was edited; run it again"
    if (task.dataset in _tuned_on(record)) != regime.tuned_on_test:
        return (
            "its recipe and its regime disagree on whether the test labels chose options: it was edited; run it again"
        )
    return ""


def _tuned_on(record: ResultRecord) -> Sequence[str]:
    """The datasets whose test labels chose options of the recipe."""
    named = record.recipe.spec.get("tuned_on")
    return named if isinstance(named, list) else ()


def integrity_table(board: Board, records: Sequence[ResultRecord]) -> Table:
    """What was looked at, and what was found: a line for each check."""
    data = tidy(board, records)
    rows = (
        ("identities follow from recipe and task", f"all {len(records)} records"),
        ("all rows saw the same images", _all_but(_on_other_images(data), "not {}")),
        ("no test image is a training image", _duplicates(records)),
        *annotation_rows(records),
        ("weights were trained", _all_but((method.label for method in data.methods if method.random), "not of {}")),
        ("made from committed code", _committed(records)),
    )
    return Table("Integrity", ("checked", "found"), rows)


def _all_but(exceptions: Iterable[str], sentence: str) -> str:
    names = sorted(set(exceptions))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return sentence.format(", ".join(map(plain, names[:SHOWN])) + more) if names else "yes"


def _on_other_images(data: Tidy) -> Iterator[str]:
    for method in data.methods:
        strange = sorted({unit.category for unit, record in method.records.items() if data.strange(record)})
        yield from (f"{method.label} on {category}" for category in strange)


def _duplicates(records: Sequence[ResultRecord]) -> str:
    done = [record for record in records if record.status == "ok"]
    unknown = sum(record.task.duplicates is None for record in done)
    named = {name for record in done for name in record.task.duplicates or ()}
    found = "nobody looked" if unknown == len(done) else _all_but(named, "not {}")
    return f"{found}; nobody looked in {unknown} of {len(done)} records" if 0 < unknown < len(done) else found


def _committed(records: Sequence[ResultRecord]) -> str:
    known = [record.provenance.dirty for record in records if record.provenance.dirty is not None]
    installed = len(records) - len(known)
    said = f"{known.count(False)} of {len(known)} records" if known else "no record"
    return f"{said}; {installed} made by an installed release" if installed else said
