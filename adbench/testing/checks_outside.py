"""Rules for reports and executors, which no image ever meets."""

from __future__ import annotations

from dataclasses import replace

from adbench import Executor, Report
from adbench.testing.check import Rule, Subject, require
from adbench.testing.toy_truth import TABLE


def check_every_cell_is_shown(subject: Subject[Report]) -> None:
    """The text holds every cell of every table and ends with a newline."""
    second = replace(TABLE, title="Another table", rows=(("cable", "0.123"),))
    text = subject.ready().render([TABLE, second])
    cells = [cell for table in (TABLE, second) for row in (table.columns, *table.rows) for cell in row]
    missing = [cell for cell in cells if cell not in text]
    require(not missing, f"Missing: {', '.join(missing)}.")
    require(text.endswith("\n"), "There is no newline at the end.")


def check_empty_table_is_shown(subject: Subject[Report]) -> None:
    """A table without rows is text too."""
    text = subject.ready().render([replace(TABLE, rows=())])
    require(all(column in text for column in TABLE.columns), "The header is missing.")


def check_suffix_is_a_suffix(subject: Subject[Report]) -> None:
    """The suffix begins with a dot, such as '.md'."""
    suffix = subject.original.suffix
    require(suffix.startswith(".") and len(suffix) > 1, f"It is {suffix!r}.")


def check_every_unit_runs_once(subject: Subject[Executor]) -> None:
    """Each unit's result comes exactly once, in any order."""
    results = sorted(subject.ready().run(str, range(5)), key=str)
    require(results == ["0", "1", "2", "3", "4"], f"For 0 to 4 it gave {results}.")


def check_no_units_no_results(subject: Subject[Executor]) -> None:
    """No units give no results."""
    require(list(subject.ready().run(str, [])) == [], "There was one.")


RULES: dict[str, tuple[Rule, ...]] = {
    "report": (check_every_cell_is_shown, check_empty_table_is_shown, check_suffix_is_a_suffix),
    "executor": (check_every_unit_runs_once, check_no_units_no_results),
}
