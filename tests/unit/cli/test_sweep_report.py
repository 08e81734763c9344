import sys
from types import SimpleNamespace

import pytest

from adbench.cli.sweep_report import lines_for, show, to_json
from adbench.engine.evaluate.holdout import HoldoutSplit
from adbench.engine.evaluate.sweep import MeanFigure, Setting, SettingRanking, SweepReport, Tried
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import Part

OWN = Setting(Part(name="max"), MapSpec())
OTHER = Setting(Part(name="quantile", options={"q": 0.9}), MapSpec(sigma=2, morphology="open:3"))


def report(chosen=OTHER, *, oracle=False, tuned_on=()):
    task = SimpleNamespace(dataset="parts[1]", category="bolt", seed=0)
    recipe = SimpleNamespace(name="mine", spec={"tuned_on": list(tuned_on)})
    run = SimpleNamespace(record=SimpleNamespace(task=task, recipe=recipe), split=HoldoutSplit((0, 1), (2, 3, 4)))
    maps = tuple(Tried(OWN._replace(map=one.map), 0.5) for one in (OTHER, OWN))
    rankings = (
        SettingRanking("aggregate", "image-auroc", (Tried(OTHER._replace(map=OWN.map), 0.9), Tried(OWN, 0.8))),
        SettingRanking("map", "pixel-ap", maps),
    )
    means = {"image-auroc": MeanFigure(0.75), "pixel-ap": MeanFigure(None, "bolt: no defective pixel")}
    return SweepReport((run,), rankings, OWN, chosen, means, {**means, "image-auroc": MeanFigure(0.625)}, oracle)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_person_is_reported_who_chose_and_what_it_is_worth(terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "200")
    show(report(), 0.4)
    message = capsys.readouterr().out
    for words in (
        "mine on parts[1]: bolt; seeds 0",
        "2 test images choose (a share of 0.4",
        "the other 3 report",
        "quantile(q=0.9)",
        "max (the recipe's own)",
        "sigma 2, morphology open:3",
        "sigma 4, morphology none (the recipe's own)",
        "62.5",
        "pixel-ap, chosen: n/a: bolt: no defective pixel",
        'aggregate: {"quantile": {"q": 0.9}}',
        'tuned_on: ["parts[1]"]',
    ):
        assert words in message
    assert ("─" in message) is terminal


def test_an_oracle_says_so_first(capsys):
    show(report(oracle=True), 0.5)
    assert capsys.readouterr().out.splitlines()[1].startswith("ORACLE: all 2 test images choose and report")


def test_where_nothing_is_better_there_is_nothing_to_paste(capsys):
    show(report(OWN), 0.5)
    message = capsys.readouterr().out
    assert "prefer the recipe's own setting" in message
    assert "tuned_on" not in message


def test_a_mark_that_is_there_stays():
    assert lines_for(report(tuned_on=["demo"]))[-1] == 'tuned_on: ["demo", "parts[1]"]'


def test_a_program_is_reported_the_same():
    message = to_json(report())
    assert (message["choosing"], message["reporting"], message["oracle"]) == (2, 3, False)
    assert message["figures"]["image-auroc"] == {"own": 0.75, "chosen": 0.625}
    assert message["figures"]["pixel-ap"] == {"own": None, "chosen": None}
    assert [one["value"] for one in message["contests"][0]["tried"]] == [0.9, 0.8]
    assert message["chosen"]["map"]["morphology"] == "open:3"
