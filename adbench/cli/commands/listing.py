"""``adbench list``: the installed components and recipes."""

from __future__ import annotations

from typing import Any

import click

from adbench.cli.completion import kinds
from adbench.cli.forms import form_options, print_rows
from adbench.cli.screen import echo, echo_json
from adbench.errors import UnknownName


@click.command("list")
@click.argument("kind", required=False, shell_complete=kinds)
@form_options("csv", "json", csv="Print CSV, without options.")
def command(kind: str | None, form: str | None) -> None:
    """List installed components and recipes, of one KIND or all, with their options and packages."""
    from adbench.cli.plugins import listing

    found = listing()
    there = list(dict.fromkeys([*(row["kind"] for row in found.rows), "recipe"]))
    if kind is not None and kind not in there:
        raise UnknownName("kind", kind, there)
    rows = [row for row in found.rows if kind in (None, row["kind"])]
    if form == "csv":
        columns = ("kind", "name", "dist", "about")
        print_rows(columns, [[row[name] for name in columns] for row in rows])
        return
    if form == "json":
        echo_json({"components": rows, "problems": found.problems}, indent=1)
        return
    _print(rows, found.problems, with_options=kind is not None)


def _print(rows: list[dict[str, Any]], problems: list[dict[str, str]], *, with_options: bool) -> None:
    width = max((len(row["name"]) for row in rows), default=0)
    last = None
    for row in rows:
        if row["kind"] != last:
            echo(*([] if last is None else [""]), row["kind"], bold=True)
            last = row["kind"]
        echo(f"  {row['name']:<{width}}  {row['about']}  [{row['dist']}]", hang=width + 4)
        for name, option in (row["options"] if with_options else {}).items():
            default = "required" if option["required"] else f"default {option['default']}"
            echo(f"  {'':<{width}}    {name}: {option['help']} ({default})", hang=width + 8)
    for problem in problems:
        echo(f"left out: plugin {problem['dist']!r}: {problem['reason']}", err=True, fg="red")
