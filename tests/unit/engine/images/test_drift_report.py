import pytest
from pydantic import ValidationError

from adbench.engine.images.corruption import VERSION, Corruption
from adbench.engine.images.drift_report import DriftReport, DriftWindow, WindowFigures, holds_drifts, pooled_drifts
from adbench.engine.images.drifting import DRIFT_VERSION


def figures(auroc=0.9, alarms=1, found=3):
    return WindowFigures(auroc=auroc, false_alarms=alarms, found=found)


def report(auroc=0.9, alarms=1, *, updated=True, **changes):
    windows = [
        DriftWindow(
            begin=number,
            end=number + 1,
            frozen=figures(auroc, alarms),
            updated=figures(1.0, 0) if updated else None,
            added=4,
            added_defective=1,
        )
        for number in range(3)
    ]
    given = {"version": DRIFT_VERSION, "corruptions": VERSION, "corruption": "noise", "strength": 3, "threshold": 0.5}
    rest = {"normals": 10, "defective": 5, "clean": figures(1.0, 0, 5), "windows": windows}
    return DriftReport(**{**given, **rest, **changes})


def test_units_are_pooled():
    (found,) = pooled_drifts([[report(0.9, 1)], [report(0.7, 3, normals=30)]])
    assert (found.name, found.strength, found.normals, found.defective) == ("noise", 3, 40, 10)
    assert (found.clean.auroc, found.clean.alarms, found.clean.found) == (1.0, 0, 10)
    assert found.frozen[1] == (pytest.approx(0.8), 4, 6)
    assert found.updated[2] == (1.0, 0, 6)
    assert found.added == [(8, 2)] * 3
    assert found.levels == [(0, 1), (1, 2), (2, 3)]


def test_a_stream_that_one_unit_lacks_is_left_out_and_updates_that_one_lacks_too():
    other = report(corruption="jpeg")
    assert [one.name for one in pooled_drifts([[report(), other], [other]])] == ["jpeg"]
    (found,) = pooled_drifts([[report()], [report(updated=False)]])
    assert found.updated == []
    (found,) = pooled_drifts([[report()], [report(alarms=None, auroc=None)]])
    assert (found.frozen[0].alarms, found.frozen[0].auroc) == (None, None)


def test_reports_know_what_they_hold():
    noise, jpeg = Corruption("noise", 3), Corruption("jpeg", 5)
    assert holds_drifts([report()], [noise])
    assert holds_drifts([], [])
    assert not holds_drifts([report()], [noise, jpeg])
    assert not holds_drifts([report(version=DRIFT_VERSION + 1)], [noise])
    assert not holds_drifts([report(corruptions=VERSION + 1)], [noise])


@pytest.mark.parametrize(
    "changes",
    [
        {"strength": 6},
        {"corruption": "<b>"},
        {"normals": -1},
        {"windows": []},
        {"windows": report().windows * 40},
        {"threshold": float("nan")},
        {"clean": {"auroc": 2.0, "false_alarms": 0, "found": 0}},
        {"more": 1},
    ],
)
def test_a_strange_report_is_refused(changes):
    with pytest.raises(ValidationError):
        DriftReport.model_validate({**report().model_dump(), **changes})
