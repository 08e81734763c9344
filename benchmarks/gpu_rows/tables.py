"""The table of benchmarks/README.md, with or without measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpu_rows.line import PLAN, Planned

HEAD = (
    "what",
    "limit",
    "the limit takes",
    "ours",
    "ours / limit",
    "anomalib",
    "reach",
    "reached",
    "card, MB",
    "process, MB",
)
NOT_MEASURED = "not measured"


def table(rows: Iterable[Mapping[str, Any]] = ()) -> str:
    """Markdown: every planned line; one that was not measured says so, or why.

    Args:
        rows: the rows of a result's JSON.
    """
    measured: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for row in rows:
        measured |= {line["key"]: (line, row) for line in row["lines"]}
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---:|" * 4 + "---|---|---:|---:|"]
    lines += [_cells(planned, *measured.get(planned.key, ({}, {}))) for planned in PLAN]
    return "\n".join(lines)


def _cells(planned: Planned, line: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    peaks = row.get("peaks", {})
    said = {None: "", True: "yes", False: "**no**"}[line.get("reached")]
    ours = f"{_number(line['ours'])} {planned.unit}" if line else NOT_MEASURED
    ratio, peer = line.get("ratio"), line.get("peer")
    cells = (
        planned.what,
        planned.limit,
        f"{_number(line['limit'])} {planned.unit}" if line.get("limit") is not None else "",
        ours,
        f"{ratio:,.2f}x" if ratio is not None else "",
        f"{_number(peer)} {planned.unit}, {peer / line['ours']:.1f}x" if peer else "",
        planned.reach,
        said,
        _whole(peaks.get("gpu_mb")),
        _whole(peaks.get("process_mb")),
    )
    return "| " + " | ".join(cells) + " |"


def notes(result: Mapping[str, Any]) -> str:
    """What does not fit into the table: the card, the tests, notes of lines, rows that did not end well."""
    told = [
        f"{result['card']}, torch {result['torch']}, {result['sizes_of']} sizes; tests: {result['tests_in_words']}."
    ]
    for name, why in result["tests"]["failures"].items():
        told.append(f"- test {name} failed: {why}")
    for row in result["rows"]:
        if row["status"] != "ok":
            told.append(f"- {row['name']} {row['status']} after {row['seconds']:.0f} s: {row['reason']}")
        told += [f"- {line['key']}: {line['note']}" for line in row["lines"] if line["note"]]
    return "\n".join(told)


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
