"""The facts in an exported file, as texts by name."""

from __future__ import annotations

import json

from adbench.detector.export.graph import Frame
from adbench.detector.export.proof import ExportReport
from adbench.detector.fit.state import DetectorState


def facts_in(state: DetectorState, frame: Frame, report: ExportReport | None, *, has_map: bool) -> dict[str, str]:
    """Detector, input, outputs, thresholds and the report of the comparison.

    Args:
        state: of the detector.
        frame: the images that the file takes.
        report: None for a file that has not been compared yet.
        has_map: whether the method has a map.
    """
    calibration = state.calibration
    facts = {
        "detector": state.about.id,
        "recipe": state.recipe.name,
        "title": state.recipe.title or state.recipe.name,
        "adbench": state.about.provenance.adbench,
        "input": _input(frame),
        "outputs": "score [N] float32" + (", map [N, H, W] float32" if has_map else ""),
        "threshold": json.dumps(calibration.threshold.value),
        "pixel_threshold": json.dumps(calibration.pixel_threshold),
        "normal_scores": json.dumps([float(score) for score in calibration.normal.values]),
        "weights": json.dumps({one.name: one.sha256 for one in state.about.weights}),
    }
    return facts if report is None else {**facts, "report": report.model_dump_json()}


def _input(frame: Frame) -> str:
    kind = "float32, 0 to 1" if frame.deep else "uint8"
    return f"image [{frame.batch}, {frame.height}, {frame.width}, 3], RGB, {kind}"
