"""What a person, or a program, is told of a sweep."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from adbench.engine.spec import Part
    from adbench.engine.sweep import Contest, Mean, Setting, Verdict

_Shown: TypeAlias = tuple[str, tuple[str, ...], list[tuple[str, ...]]]

_OWN = "the recipe's own"
_NO_FIGURES = {"metric", "aggregate", "map"}
"""Columns of words."""


def to_json(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict; figures are fractions, null where undefined."""
    first = verdict.runs[0].record
    return {
        "recipe": first.recipe.name,
        "dataset": first.task.dataset,
        "categories": sorted({run.record.task.category for run in verdict.runs}),
        "seeds": sorted({run.record.task.seed for run in verdict.runs}),
        "oracle": verdict.oracle,
        "choosing": verdict.images("choosing"),
        "reporting": verdict.images("reporting"),
        "contests": [_contest_json(contest) for contest in verdict.contests],
        "chosen": _setting_json(verdict.chosen),
        "own": _setting_json(verdict.own),
        "figures": {
            name: {"own": mean.value, "chosen": verdict.chosen_means[name].value}
            for name, mean in verdict.own_means.items()
        },
        "lines": lines_for(verdict),
    }


def _contest_json(contest: Contest) -> dict[str, Any]:
    tried = [{**_setting_json(one.setting), "value": one.value} for one in contest.tried]
    return {"slot": contest.slot, "by": contest.metric, "tried": tried}


def _setting_json(setting: Setting) -> dict[str, Any]:
    return {"aggregate": {setting.aggregate.name: setting.aggregate.options}, "map": setting.map.identity()}


def lines_for(verdict: Verdict) -> list[str]:
    """What to put into the recipe's file; `tuned_on` tells boards whose labels have chosen."""
    record = verdict.runs[0].record
    known = record.recipe.spec.get("tuned_on") or []
    tuned_on = sorted({*map(str, known), record.task.dataset})
    part = verdict.chosen.aggregate
    shown = {
        "aggregate": {part.name: part.options} if part.options else part.name,
        "map": verdict.chosen.map.identity(),
        "tuned_on": tuned_on,
    }
    return [f"{key}: {json.dumps(value)}" for key, value in shown.items()]


def show(verdict: Verdict, share: float) -> None:
    """Tables on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        _draw(verdict, share)
        return
    for sentence in _heading(verdict, share):
        click.echo(sentence)
    for title, header, rows in _tables(verdict):
        click.echo(f"{title} ({', '.join(header)})")
        for row in rows:
            click.echo("  " + "  ".join(row))
    _echo_lines(verdict)


def _draw(verdict: Verdict, share: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Console(highlight=False)
    for sentence in _heading(verdict, share):
        out.print(escape(sentence))
    for title, header, rows in _tables(verdict):
        table = Table(title=escape(f"{title} (figures in %)"), title_justify="left")
        for name in header:
            table.add_column(escape(name), justify="left" if name in _NO_FIGURES else "right")
        for row in rows:
            table.add_row(*map(escape, row))
        out.print(table)
    _echo_lines(verdict)


def _heading(verdict: Verdict, share: float) -> Iterator[str]:
    said = to_json(verdict)
    yield f"{said['recipe']} on {said['dataset']}: {', '.join(said['categories'])}; seeds {_joined(said['seeds'])}"
    if verdict.oracle:
        yield (
            f"ORACLE: all {said['choosing']} test images choose and report. These figures are an upper bound, and no"
            " result of the method."
        )
    else:
        yield (
            f"{said['choosing']} test images choose (a share of {share:g} of each type of defect, by the hash of their"
            f" ids); the other {said['reporting']} report."
        )


def _tables(verdict: Verdict) -> Iterator[_Shown]:
    """Title, header and rows of each table."""
    rows: list[tuple[str, ...]]
    for contest in verdict.contests:
        rows = [
            (_percent(one.value), _words(contest, one.setting) + (f" ({_OWN})" if one.setting == verdict.own else ""))
            for one in contest.tried
        ]
        yield f"{contest.slot}, on the images that choose", (contest.metric, contest.slot), rows
    rows = [(name, _shown(mean), _shown(verdict.chosen_means[name])) for name, mean in verdict.own_means.items()]
    yield "what it is worth, on the images that report", ("metric", _OWN, "chosen"), rows


def _words(contest: Contest, setting: Setting) -> str:
    """A setting by what sets it apart from the others."""
    if contest.slot == "aggregate":
        return _part_words(setting.aggregate)
    known = [one.setting.map.identity() for one in contest.tried]
    own = setting.map.identity()
    apart = [name for name in type(setting.map).model_fields if len({repr(one.get(name)) for one in known}) > 1]
    return ", ".join(f"{name} {_plain(own.get(name))}" for name in apart) or "as it is"


def _part_words(part: Part) -> str:
    options = ", ".join(f"{key}={_plain(value)}" for key, value in part.options.items())
    return f"{part.name}({options})" if options else part.name


def _plain(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _echo_lines(verdict: Verdict) -> None:
    if verdict.chosen == verdict.own:
        click.echo(f"The images that choose prefer nothing to {_OWN} setting.")
        return
    dataset = verdict.runs[0].record.task.dataset
    click.echo(
        f"For the recipe's file; boards list its rows on {dataset} apart, since labels of its test images chose:"
    )
    for line in lines_for(verdict):
        click.echo(line)


def _joined(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _shown(mean: Mean) -> str:
    return f"n/a ({mean.reason})" if mean.value is None else _percent(mean.value)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
