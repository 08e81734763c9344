"""What a person, or a program, is told of a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adbench.cli.screen import counted, echo, screen
from adbench.cli.text_grid import Column, TextGrid

if TYPE_CHECKING:
    from adbench.engine.evaluate.sweep import MeanFigure, Setting, SettingRanking, SweepReport
    from adbench.engine.plan.recipe import Part

_OWN = "the recipe's own"


def to_json(verdict: SweepReport) -> dict[str, Any]:
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


def _contest_json(contest: SettingRanking) -> dict[str, Any]:
    tried = [{**_setting_json(one.setting), "value": one.value} for one in contest.tried]
    return {"slot": contest.slot, "by": contest.metric, "tried": tried}


def _setting_json(setting: Setting) -> dict[str, Any]:
    return {"aggregate": {setting.aggregate.name: setting.aggregate.options}, "map": setting.map.identity()}


def lines_for(verdict: SweepReport) -> list[str]:
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


def show(verdict: SweepReport, share: float) -> None:
    """Tables on a terminal, plain lines elsewhere."""
    out = screen()
    echo(*_heading(verdict, share))
    for table in _tables(verdict):
        table.print(out)
    echo(*_undefined(verdict))
    _echo_lines(verdict)


def _heading(verdict: SweepReport, share: float) -> Iterator[str]:
    said = to_json(verdict)
    yield f"{said['recipe']} on {said['dataset']}: {', '.join(said['categories'])}; seeds {_joined(said['seeds'])}"
    choosing = counted(said["choosing"], "test image")
    if verdict.oracle:
        yield (
            f"ORACLE: all {choosing} choose and report. These figures are an upper bound, and no result of the method."
        )
    else:
        yield (
            f"{choosing} choose (a share of {share:g} of each type of defect, by the hash of their ids); the other"
            f" {said['reporting']} report."
        )


def _tables(verdict: SweepReport) -> Iterator[TextGrid]:
    for contest in verdict.contests:
        columns = [Column(contest.slot), Column(contest.metric)]
        table = TextGrid(f"{contest.slot}, on the images that choose (figures in %)", columns)
        for one in contest.tried:
            own = f" ({_OWN})" if one.setting == verdict.own else ""
            table.add(_words(contest, one.setting) + own, _percent(one.value))
        yield table
    table = TextGrid(
        "what it is worth, on the images that report (figures in %)", [Column("metric"), Column(_OWN), Column("chosen")]
    )
    for name, mean in verdict.own_means.items():
        table.add(name, _shown(mean), _shown(verdict.chosen_means[name]))
    yield table


def _undefined(verdict: SweepReport) -> Iterator[str]:
    """Why a figure is none."""
    for name, mean in verdict.own_means.items():
        for which, one in ((_OWN, mean), ("chosen", verdict.chosen_means[name])):
            if one.value is None:
                yield f"{name}, {which}: n/a: {one.reason}"


def _words(contest: SettingRanking, setting: Setting) -> str:
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


def _echo_lines(verdict: SweepReport) -> None:
    if verdict.chosen == verdict.own:
        echo(f"The images that choose prefer nothing to {_OWN} setting.")
        return
    dataset = verdict.runs[0].record.task.dataset
    echo(f"For the recipe's file; boards list its rows on {dataset} apart, since labels of its test images chose:")
    echo(*lines_for(verdict))


def _joined(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _shown(mean: MeanFigure) -> str:
    return "n/a" if mean.value is None else _percent(mean.value)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
