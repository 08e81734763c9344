"""Deployed figures: thresholds that were set on normal images alone, and their results on the test images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adbench.boards.statistics.fingerprint import fingerprint
from adbench.boards.tables.figures import DASH, UNDEFINED, Figure, figures
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import title_of
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.reports import Table

if TYPE_CHECKING:
    import pandas as pd

    from adbench.engine.evaluate.threshold import Threshold

COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "false alarms": "fpr",
    "F1-max": "oracle_f1",
    "oracle gap": "oracle_gap",
}
"""Columns, and the field of a threshold that each shows."""
GUARANTEE = (
    "The conformal bound promises at most this share of false alarms, in the mean over draws of the normal images, if"
    " normal images of training and test come from one source and more of them never raise a normal image's score: see"
    " docs/protocol.md. Where many more were achieved, the test's normal images are not like the training's."
)
READ_AS = (
    "Percent. The threshold saw no test image and no label. False alarms: the share of normal test images above it."
    " F1-max: at the threshold that the test's labels would choose. Oracle gap: what that is ahead by."
)


def deployed_tables(data: BoardData, thresholds: Mapping[str, Threshold]) -> list[Table]:
    """Deployed figures, a table for each regime, rule and source; methods by name, since nothing here is ranked.

    Args:
        data: of the board.
        thresholds: by the id of their record.
    """
    rows = [
        {"row": method.key, **unit._asdict(), **_values(thresholds[record.id])}
        for method in data.methods
        for unit, record in method.records.items()
        if record.id in thresholds
    ]
    return _tables(data, rows) if rows else []


def _unlisted(methods: Sequence[MethodRow], listed: AbstractSet[str]) -> tuple[str, ...]:
    """A note on the methods of a regime that have no threshold by any rule; none if all have one.

    Args:
        methods: of the regime.
        listed: keys of those that have a threshold.
    """
    missing = [method.label for method in methods if method.key not in listed]
    if not missing:
        return ()
    return (f"Not here: {', '.join(missing)}. Their runs set no threshold; 'adbench run --threshold' sets one.",)


def rule_of(threshold: Threshold) -> str:
    """The rule in words, with its target."""
    if threshold.method == "sigma":
        return f"mean + {threshold.k:g} sigma"
    return f"{threshold.method}, {100 * (threshold.alpha or 0):g} % false alarms"


def _values(threshold: Threshold) -> dict[str, Any]:
    terms = {"rule": rule_of(threshold), "source": plain(threshold.source), "reason": plain(threshold.reason)}
    return {**terms, **threshold.model_dump(include=set(COLUMNS.values()))}


def _tables(data: BoardData, rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    import pandas as pd

    frame, tables = pd.DataFrame(rows, dtype=object), []
    sources = frame.groupby(["row", "rule"])["source"]
    frame["source"] = sources.transform(lambda texts: "; ".join(sorted(set(texts))))
    for regime, methods in data.regimes:
        ours = frame[frame["row"].isin([method.key for method in methods])]
        here = []
        for (rule, source), found in ours.groupby(["rule", "source"]):
            members = [method for method in methods if method.key in set(found["row"])]
            here.append(_table(data, regime, rule, source, members, found))
        if here:
            here[-1] = replace(here[-1], notes=(*here[-1].notes, *_unlisted(methods, set(ours["row"]))))
        tables += here
    return tables


def _table(
    data: BoardData, regime: RegimeGroup, rule: str, source: str, methods: Sequence[MethodRow], found: pd.DataFrame
) -> Table:
    cells = found.set_index(["row", "category", "seed"]).reindex(data.grid(methods))
    protocol = fingerprint(data, regime, f"{rule}; {source}")
    columns = [_figures(cells, field) for field in COLUMNS.values()]
    rows = tuple((title_of(method), *map(str, own), protocol) for method, *own in zip(methods, *columns, strict=True))
    notes = [f"{READ_AS} Scores of normal images: {source}.", *([GUARANTEE] if rule.startswith("conformal") else [])]
    for method in methods:
        reasons = sorted(set(found.loc[found["row"] == method.key, "reason"]) - {""})
        notes += [f"{method.label}: no threshold: {reason}." for reason in reasons]
    return Table(f"Deployed, {rule}: {regime}", ("method", *COLUMNS, "protocol"), rows, tuple(notes))


def _figures(cells: pd.DataFrame, field: str) -> list[Figure]:
    value = cells[field].astype(float)
    mark = value.isna().map({True: UNDEFINED, False: ""}).where(cells["rule"].notna(), DASH)
    return figures(cells.assign(value=value, low=math.nan, high=math.nan, mark=mark, fixed=""))
