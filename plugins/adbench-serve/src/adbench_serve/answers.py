"""Answers as JSON."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from adbench import BadImage, Detector, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image


class Extras(NamedTuple):
    """What a request wants of each image beside its scores.

    Attributes:
        heatmap: the heatmap, as a PNG in base64.
        explain: the explanation, with its picture as a PNG in base64.
    """

    heatmap: bool = False
    explain: bool = False


def answer_of(name: str, prediction: Any, extras: Extras) -> dict[str, Any]:
    """The prediction for an image as JSON."""
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
    if extras.heatmap:
        answer["heatmap"] = _heatmap(prediction)
    if extras.explain:
        answer["explanation"] = _explanation(name, prediction, answer["notes"])
    return answer


def failure_of(name: str, reason: str) -> dict[str, Any]:
    """The answer for an image that cannot be read."""
    unknown = dict.fromkeys(("score", "p_value", "threshold", "alarm", "ms"))
    return {"file": name, **unknown, "notes": [], "error": reason}


def _heatmap(prediction: Any) -> str | None:
    from PIL import Image

    pixels = prediction.heatmap()
    return None if pixels is None else _png(Image.fromarray(pixels))


def _explanation(name: str, prediction: Any, notes: list[str]) -> dict[str, Any] | None:
    """The explanation of a score with its picture; None, and a note that says why, where there is none."""
    try:
        explanation = replace(prediction.explain(), image=name)
    except (BadImage, UsageError) as error:
        notes.append(f"no explanation: {error}")
        return None
    return {**explanation.to_json(), "picture": _png(explanation.show())}


def _png(image: Image) -> str:
    image.save(target := io.BytesIO(), "PNG", compress_level=1)
    return base64.b64encode(target.getvalue()).decode()


def about(name: str, detector: Detector) -> dict[str, Any]:
    """What a detector is."""
    threshold = detector.threshold()
    return {"name": name, "threshold": threshold.value, "reason": threshold.reason, "facts": detector.facts()}
