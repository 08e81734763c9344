import pytest
from pydantic import ValidationError

from adbench.engine.images.corruption import VERSION, Corruption
from adbench.engine.images.corruption_report import (
    CorruptedFigures,
    CorruptionReport,
    SetFigures,
    alike,
    drop,
    pooled,
)


def report(auroc=0.9, alarms=1, normals=10, **changes):
    figures = {"metrics": {"image-auroc": auroc, "pixel-ap": None}, "false_alarms": alarms}
    clean = SetFigures(metrics={"image-auroc": 1.0, "pixel-ap": None}, false_alarms=0)
    corrupted = [CorruptedFigures(corruption="noise", strength=strength, **figures) for strength in (1, 2)]
    given = {"version": VERSION, "grid": (256, 256), "threshold": 0.5, "normals": normals, "clean": clean}
    return CorruptionReport(**{**given, "corrupted": corrupted, **changes})


def test_units_are_pooled():
    clean, first, second = pooled([report(0.9, 1, 10), report(0.7, 3, 30)])
    assert (clean.name, clean.drops["image-auroc"], clean.alarms, clean.normals) == ("", 1.0, 0, 40)
    assert (first.name, first.strength, second.strength) == ("noise", 1, 2)
    assert first.drops["image-auroc"] == pytest.approx(0.2)
    assert first.drops["pixel-ap"] is None
    assert (first.alarms, first.normals) == (4, 40)


def test_a_corruption_that_one_unit_lacks_is_left_out():
    other = report()
    short = other.model_copy(update={"corrupted": other.corrupted[:1]})
    assert [(one.name, one.strength) for one in pooled([report(), short])] == [("", 0), ("noise", 1)]
    assert next(pooled([report(), report(clean=SetFigures(metrics={}, false_alarms=None))])).alarms is None


def test_reports_of_other_grids_or_versions_are_not_alike():
    assert alike([report(), report(0.1)])
    assert not alike([report(), report(grid=(128, 128))])
    assert not alike([report(), report(version=VERSION + 1)])


def test_a_report_knows_what_it_holds():
    noise = [Corruption("noise", strength) for strength in (1, 2, 3)]
    assert report().holds(noise[:2])
    assert not report().holds(noise)
    assert not report(version=VERSION + 1).holds(noise[:1])


def test_a_gain_is_a_negative_drop():
    before, after = SetFigures(metrics={"a": 0.5}), SetFigures(metrics={"a": 0.75})
    assert drop(before, after, "a") == -0.25
    assert drop(before, after, "b") is None


@pytest.mark.parametrize(
    "change",
    [{"strength": 6}, {"corruption": "<b>"}, {"metrics": {"a": float("nan")}}, {"false_alarms": -1}, {"more": 1}],
)
def test_strange_figures_are_refused(change):
    with pytest.raises(ValidationError):
        CorruptedFigures(**{"corruption": "noise", "strength": 1, "metrics": {}, **change})
