"""The report of a sweep: tables for a person, JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adbench.cli.forms import print_tables
from adbench.cli.screen import counted, echo
from adbench.cli.text_table import Column, TextTable

if TYPE_CHECKING:
    from adbench.engine.evaluate.sweep import MeanFigure, Setting, SettingRanking, SweepReport
    from adbench.engine.plan.recipe import Part

_OWN = "the recipe's own"


def to_json(report: SweepReport) -> dict[str, Any]:
    """The report as JSON; figures are fractions, null if undefined."""
    first = report.runs[0].record
    return {
        "recipe": first.recipe.name,
        "dataset": first.task.dataset,
        "categories": sorted({run.record.task.category for run in report.runs}),
        "seeds": sorted({run.record.task.seed for run in report.runs}),
        "oracle": report.oracle,
        "choosing": report.images("choosing"),
        "reporting": report.images("reporting"),
        "contests": [_ranking_json(ranking) for ranking in report.rankings],
        "chosen": _setting_json(report.chosen),
        "own": _setting_json(report.own),
        "figures": {
            name: {"own": mean.value, "chosen": report.chosen_means[name].value}
            for name, mean in report.own_means.items()
        },
        "lines": lines_for(report),
    }


def _ranking_json(ranking: SettingRanking) -> dict[str, Any]:
    tried = [{**_setting_json(one.setting), "value": one.value} for one in ranking.tried]
    return {"slot": ranking.slot, "by": ranking.metric, "tried": tried}


def _setting_json(setting: Setting) -> dict[str, Any]:
    return {"aggregate": {setting.aggregate.name: setting.aggregate.options}, "map": setting.map.identity()}


def lines_for(report: SweepReport) -> list[str]:
    """The lines for the recipe's file; `tuned_on` names the dataset whose labels have chosen."""
    record = report.runs[0].record
    known = record.recipe.spec.get("tuned_on") or []
    tuned_on = sorted({*map(str, known), record.task.dataset})
    part = report.chosen.aggregate
    shown = {
        "aggregate": {part.name: part.options} if part.options else part.name,
        "map": report.chosen.map.identity(),
        "tuned_on": tuned_on,
    }
    return [f"{key}: {json.dumps(value)}" for key, value in shown.items()]


def show(report: SweepReport, share: float, form: str | None = None) -> None:
    """Print the report: tables on a terminal, plain lines elsewhere; as CSV the tables alone."""
    if form == "csv":
        print_tables(_tables(report), form)
        return
    echo(*_heading(report, share))
    print_tables(_tables(report), form)
    echo(*_undefined(report))
    _echo_lines(report)


def _heading(report: SweepReport, share: float) -> Iterator[str]:
    facts = to_json(report)
    yield f"{facts['recipe']} on {facts['dataset']}: {', '.join(facts['categories'])}; seeds {_joined(facts['seeds'])}"
    choosing = counted(facts["choosing"], "test image")
    if report.oracle:
        yield (
            f"ORACLE: all {choosing} choose and report. These figures are an upper bound, not a result of the method."
        )
    else:
        yield (
            f"{choosing} choose (a share of {share:g} of each type of defect, by the hash of their ids); the other"
            f" {facts['reporting']} report."
        )


def _tables(report: SweepReport) -> Iterator[TextTable]:
    for ranking in report.rankings:
        columns = [Column(ranking.slot), Column(ranking.metric)]
        table = TextTable(f"{ranking.slot}, on the images that choose (figures in %)", columns)
        for one in ranking.tried:
            own = f" ({_OWN})" if one.setting == report.own else ""
            table.add(_words(ranking, one.setting) + own, _percent(one.value))
        yield table
    table = TextTable(
        "results on the images that report (figures in %)", [Column("metric"), Column(_OWN), Column("chosen")]
    )
    for name, mean in report.own_means.items():
        table.add(name, _shown(mean), _shown(report.chosen_means[name]))
    yield table


def _undefined(report: SweepReport) -> Iterator[str]:
    """The reasons of undefined figures."""
    for name, mean in report.own_means.items():
        for which, one in ((_OWN, mean), ("chosen", report.chosen_means[name])):
            if one.value is None:
                yield f"{name}, {which}: n/a: {one.reason}"


def _words(ranking: SettingRanking, setting: Setting) -> str:
    """A setting in words: the options in which the settings differ."""
    if ranking.slot == "aggregate":
        return _part_words(setting.aggregate)
    known = [one.setting.map.identity() for one in ranking.tried]
    own = setting.map.identity()
    apart = [name for name in type(setting.map).model_fields if len({repr(one.get(name)) for one in known}) > 1]
    return ", ".join(f"{name} {_plain(own.get(name))}" for name in apart) or "as it is"


def _part_words(part: Part) -> str:
    options = ", ".join(f"{key}={_plain(value)}" for key, value in part.options.items())
    return f"{part.name}({options})" if options else part.name


def _plain(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _echo_lines(report: SweepReport) -> None:
    if report.chosen == report.own:
        echo(f"The images that choose prefer {_OWN} setting.")
        return
    dataset = report.runs[0].record.task.dataset
    echo(f"For the recipe's file; labels of test images chose, so boards list its rows on {dataset} separately:")
    echo(*lines_for(report))


def _joined(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _shown(mean: MeanFigure) -> str:
    return "n/a" if mean.value is None else _percent(mean.value)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
