"""The report of classes: its figures are those of the predictions, and what is no report is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from adbench.api.curves.classes import ClassPredictions
from adbench.engine.store.class_report import ClassReport

ROWS = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.7, 0.2], [0.2, 0.5, 0.3]], np.float32)
FOUND = ClassPredictions(("good", "hole", "print"), ROWS, np.array([0, 0, 1, 1]))


def test_a_report_has_the_figures_of_the_predictions():
    report = ClassReport.of(FOUND)
    assert report.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert list(report.recalls()) == [("good", 1, 2), ("hole", 2, 2)]
    sets = FOUND.conformal()
    assert report.facts() == {
        "calibration_error": pytest.approx(FOUND.calibration_error(), abs=1e-6),
        "conformal_set_size": sets.size,
        "conformal_coverage": sets.coverage,
        "conformal_lowest_coverage": sets.lowest,
    }
    assert ClassReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    "change",
    [
        {"confusion": [[1, 1, 0], [0, 2, 0]]},
        {"confusion": [[1, 1], [0, 2], [0, 0]]},
        {"confusion": [[1, 1, 0], [0, -2, 0], [0, 0, 0]]},
        {"coverage": 1.5},
        {"set_size": float("nan")},
        {"names": ["good"] * 201},
        {"more": 1},
    ],
)
def test_what_is_no_report_is_refused(change):
    with pytest.raises(ValidationError):
        ClassReport.model_validate(ClassReport.of(FOUND).model_dump() | change)
