"""Deployed figures: thresholds that were set on normal images alone, and their results on the test images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from adbench.boards.statistics.fingerprint import fingerprint
from adbench.boards.tables.table import figure, title_of
from adbench.boards.tables.tidy import BoardData, MethodRow, Reading, RegimeGroup, UnitKey
from adbench.boards.text import plain
from adbench.reports import Table

if TYPE_CHECKING:
    from adbench.engine.evaluate.threshold import Threshold

_KEY = ',"threshold":'
"""A key that no text in canonical JSON holds: its quotes would be escaped."""
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

Thresholds = Mapping[str, "Threshold"]
"""Thresholds by the id of their record."""
_Found = Mapping[UnitKey, "Threshold"]
_Row = tuple[MethodRow, _Found]


def deployed_tables(data: BoardData, thresholds: Thresholds) -> list[Table]:
    """Deployed figures, a table for each regime, rule and source; methods by name, since nothing here is ranked.

    Args:
        data: of the board.
        thresholds: of those records that have one.
    """
    if not thresholds:
        return []
    tables = []
    for regime, methods in data.regimes():
        apart: dict[tuple[str, str], list[_Row]] = defaultdict(list)
        for method in methods:
            for rule, found in _by_rule(method, thresholds).items():
                source = "; ".join(sorted({plain(threshold.source) for threshold in found.values()}))
                apart[rule, source].append((method, found))
        tables += [_table(data, regime, terms, apart[terms]) for terms in sorted(apart)]
    return tables


def read_thresholds(lines: Mapping[str, str], problems: list[str]) -> dict[str, Threshold]:
    """The thresholds in lines of details, whose last key they are; nothing else of a line is read.

    Args:
        lines: canonical JSON, by the id of the record that they belong to.
        problems: takes a sentence for each that is none.
    """
    from pydantic import ValidationError

    from adbench.engine.evaluate.threshold import Threshold

    found = {}
    for record_id, line in lines.items():
        _, key, value = line.rpartition(_KEY)
        if key and value != "null}":
            try:
                found[record_id] = Threshold.model_validate_json(value[:-1])
            except ValidationError as error:
                problems.append(f"details of record {record_id[:12]}: no threshold: {error.errors()[0]['msg']}")
    return found


def rule_of(threshold: Threshold) -> str:
    """The rule in words, with its target."""
    if threshold.method == "sigma":
        return f"mean + {threshold.k:g} sigma"
    return f"{threshold.method}, {100 * (threshold.alpha or 0):g} % false alarms"


def _by_rule(method: MethodRow, thresholds: Thresholds) -> dict[str, _Found]:
    rules: dict[str, dict[UnitKey, Threshold]] = defaultdict(dict)
    for unit, record in method.records.items():
        if record.id in thresholds:
            rules[rule_of(thresholds[record.id])][unit] = thresholds[record.id]
    return dict(rules)


def _table(data: BoardData, regime: RegimeGroup, terms: tuple[str, str], members: Sequence[_Row]) -> Table:
    rule, source = terms
    protocol = fingerprint(data, regime, f"{rule}; {source}")
    rows = tuple((title_of(method), *_cells(data, found), protocol) for method, found in members)
    notes = [f"{READ_AS} Scores of normal images: {source}.", *([GUARANTEE] if rule.startswith("conformal") else [])]
    for method, found in members:
        reasons = {plain(threshold.reason) for threshold in found.values()} - {""}
        notes += [f"{method.label}: no threshold: {reason}." for reason in sorted(reasons)]
    return Table(f"Deployed, {rule}: {regime}", ("method", *COLUMNS, "protocol"), rows, tuple(notes))


def _cells(data: BoardData, found: _Found) -> list[str]:
    return [str(figure(_readings(found, field), data.units)) for field in COLUMNS.values()]


def _readings(found: _Found, field: str) -> dict[UnitKey, Reading]:
    values = {unit: getattr(threshold, field) for unit, threshold in found.items()}
    return {unit: Reading(value, "" if value is not None else "n/a") for unit, value in values.items()}
