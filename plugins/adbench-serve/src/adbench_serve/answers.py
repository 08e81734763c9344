"""Answers as JSON."""

from __future__ import annotations

import base64
import io
from typing import Any

from adbench import Detector


def answer_of(name: str, prediction: Any, *, heatmap: bool) -> dict[str, Any]:
    """The prediction for an image as JSON, on request with its heatmap as a PNG in base64."""
    answer = {
        "file": name,
        "score": prediction.score,
        "p_value": prediction.p_value,
        "threshold": prediction.threshold,
        "alarm": prediction.is_anomalous,
        "ms": round(prediction.milliseconds, 3),
        "notes": list(prediction.notes),
        "error": None,
    }
    return {**answer, "heatmap": _png(prediction)} if heatmap else answer


def failure_of(name: str, reason: str) -> dict[str, Any]:
    """The answer for an image that cannot be read."""
    unknown = dict.fromkeys(("score", "p_value", "threshold", "alarm", "ms"))
    return {"file": name, **unknown, "notes": [], "error": reason}


def _png(prediction: Any) -> str | None:
    from PIL import Image

    pixels = prediction.heatmap()
    if pixels is None:
        return None
    Image.fromarray(pixels).save(target := io.BytesIO(), "PNG", compress_level=1)
    return base64.b64encode(target.getvalue()).decode()


def about(name: str, detector: Detector) -> dict[str, Any]:
    """What a detector is."""
    threshold = detector.threshold()
    return {"name": name, "threshold": threshold.value, "reason": threshold.reason, "facts": detector.facts()}
