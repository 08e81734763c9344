"""The forms of what a command prints: fitted to the window, or --wide, --csv and --json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adbench.cli.screen import echo, echo_csv, screen

if TYPE_CHECKING:
    from adbench.api.report import Table
    from adbench.cli.text_table import TextTable

F = TypeVar("F", bound=Callable[..., Any])

_TOLD = {
    "wide": "Print every column in one table of any width.",
    "csv": "Print CSV, without notes.",
    "json": "Print JSON.",
}


def form_options(*forms: str, add: Callable[..., Any] = click.option, **told: str) -> Callable[[F], F]:
    """The options --wide, --csv and --json, or some of them, as the argument `form`: the name of one, or None.

    Args:
        forms: "wide", "csv", "json"; all without any.
        add: makes an option, where it is not click's own.
        told: the help of a form in other words.
    """

    def decorate(function: F) -> F:
        for name in reversed(forms or tuple(_TOLD)):
            function = add(f"--{name}", "form", flag_value=name, help=told.get(name, _TOLD[name]))(function)
        return function

    return decorate


def print_tables(tables: Iterable[TextTable], form: str | None = None) -> None:
    """Print tables in the window's width, with "wide" on lines of any length, or with "csv" as CSV."""
    if form == "csv":
        print_csv(table.as_report() for table in tables)
        return
    console = screen()
    for table in tables:
        if form == "wide":
            table.print_fitted(console, wide=True)
        else:
            table.print(console)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print facts for people, each below its name if it has several lines or names of its own."""
    for name, value in facts.items():
        inner = value if isinstance(value, Mapping) else {}
        lines = [f"{key}: {text}" for key, text in inner.items()] if inner else str(value).split("\n")
        if inner or len(lines) > 1:
            echo(f"{name}:", *(f"  {line}".rstrip() for line in lines))
        else:
            echo(f"{name}: {value}")


def print_csv(tables: Iterable[Table]) -> None:
    """Print tables as one CSV table; a cell is never a spreadsheet's formula."""
    from adbench.cli.board_building import renderers

    echo_csv(renderers().csv.render(list(tables)))


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV below the names of their columns."""
    from adbench.api.report import Table

    print_csv([Table("", tuple(columns), tuple(tuple(map(str, row)) for row in rows))])
