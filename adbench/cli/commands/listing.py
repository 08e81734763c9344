"""``adbench list``: the installed components and recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adbench.cli.screen import echo, echo_json
from adbench.errors import UnknownName

if TYPE_CHECKING:
    from adbench.api.component import Component
    from adbench.registration.registry import Registry


@click.command("list")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List installed components and recipes, of one KIND or all, with their options and packages."""
    from adbench.registration.registry import installed

    registry = installed()
    kinds = [*registry.kinds(), "recipe"]
    if kind is not None and kind not in kinds:
        raise UnknownName("kind", kind, kinds)
    rows = [row for row in _rows(registry) if kind in (None, row["kind"])]
    problems = [{"dist": problem.dist, "reason": problem.reason} for problem in registry.problems]
    if as_json:
        echo_json({"components": rows, "problems": problems}, indent=1)
        return
    _print(rows, problems, with_options=kind is not None)


def _rows(registry: Registry) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "version": entry.cls.version,
            "dist": f"{entry.dist} {entry.dist_version}",
            "about": (entry.cls.__doc__ or "").strip().split("\n")[0],
            "options": options_of(entry.cls),
        }
        for entry in registry.entries()
    ]
    for recipe in sorted(registry.recipe_files.values(), key=lambda item: item.name):
        dist = f"{recipe.dist} {recipe.dist_version}"
        rows.append({"kind": "recipe", "name": recipe.name, "dist": dist, "about": _title(recipe.path), "options": {}})
    return rows


def options_of(cls: type[Component]) -> dict[str, dict[str, Any]]:
    """Name, default and help of each option of a component."""
    return {
        name: {"default": _default(info), "required": info.is_required(), "help": info.description or ""}
        for name, info in cls.Config.model_fields.items()
    }


def _default(info: Any) -> str:
    try:
        return str(None if info.is_required() else info.get_default(call_default_factory=True))
    except Exception as error:  # noqa: BLE001  a plugin's factory may raise anything
        return f"unknown: its factory raised {type(error).__name__}"


def _title(path: Any) -> str:
    """A recipe's title, without parsing the file as a recipe; for an unreadable file the reason."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    for line in lines:
        if line.startswith("title:"):
            return str(line.removeprefix("title:").strip().strip("\"'"))
    return ""


def _print(rows: list[dict[str, Any]], problems: list[dict[str, str]], *, with_options: bool) -> None:
    width = max((len(row["name"]) for row in rows), default=0)
    last = None
    for row in rows:
        if row["kind"] != last:
            echo(*([] if last is None else [""]), row["kind"], bold=True)
            last = row["kind"]
        echo(f"  {row['name']:<{width}}  {row['about']}  [{row['dist']}]")
        for name, option in (row["options"] if with_options else {}).items():
            default = "required" if option["required"] else f"default {option['default']}"
            echo(f"  {'':<{width}}    {name}: {option['help']} ({default})")
    for problem in problems:
        echo(f"left out: plugin {problem['dist']!r}: {problem['reason']}", err=True, fg="red")
