"""The details of a run for a board's page: scores of single images, figures of each kind of defect, curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adbench.api.atomic_file import atomic_write
from adbench.api.dataset import GOOD
from adbench.api.metric import Evidence, Metric
from adbench.api.untrusted import parse_json, read_plain
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.images.corruption_report import CorruptionReport
from adbench.engine.images.drift_report import DriftReport
from adbench.engine.store.class_report import ClassReport
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import canonical_json, storage_errors
from adbench.errors import StorageError
from adbench.safe_text import one_line

if TYPE_CHECKING:
    from adbench.engine.evaluate.evaluator import Evaluator

SCHEMA = 1
DETAILS_FILE = "details.json"
MAX_DETAILS_BYTES = 16 << 20
_LIMIT = f"{MAX_DETAILS_BYTES >> 20} MiB"
MAX_POINTS = 200
PRO_LIMIT = 0.3

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Rate = Annotated[float, Field(ge=0, le=1)]
Point: TypeAlias = tuple[_Rate, _Rate]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageDetail(_Model):
    """One test image and its score."""

    id: str
    defect: str = Field(description="its kind of defect, or 'good'")
    score: _Finite = Field(description="to 6 significant digits")


class Curves(_Model):
    """Corners of curves, from (0, 0), with straight lines between them; empty if a curve is undefined."""

    roc: list[Point] = Field(default_factory=list, max_length=MAX_POINTS, description="of the image scores")
    pro: list[Point] = Field(
        default_factory=list, max_length=MAX_POINTS, description="regions over normal pixels, up to a rate of 0.3"
    )


class Details(_Model):
    """The details of one category and seed of one method: the whole file."""

    schema_version: int = Field(SCHEMA, alias="schema", ge=1, le=SCHEMA)
    id: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the record")
    images: list[ImageDetail] = Field(description="in the order of the predictions")
    by_defect: dict[str, dict[str, _Finite | None]] = Field(
        description="for each kind of defect every metric of its images and all good ones, to 6 decimals"
    )
    curves: Curves
    threshold: Threshold | None = Field(None, description="from normal images, if there is one")
    corruptions: CorruptionReport | None = Field(None, description="of corrupted test images, if they were scored")
    classes: ClassReport | None = Field(None, description="of named types of defects, if the method names them")
    drifts: list[DriftReport] | None = Field(None, max_length=50, description="of streams that change, if asked for")
    embedding: list[tuple[_Finite, _Finite]] | None = Field(
        None, description="one point for each image, in their order"
    )

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="after")
    def _a_point_an_image(self) -> Details:
        if self.embedding is not None and len(self.embedding) != len(self.images):
            raise ValueError(f"embedding has {len(self.embedding)} points for {len(self.images)} images")
        return self

    def to_json(self) -> dict[str, Any]:
        """The JSON of the details, with the keys of the schema; without reports that there are not."""
        absent = {name for name in ("classes", "corruptions", "drifts") if getattr(self, name) is None}
        return self.model_dump(mode="json", by_alias=True, exclude=absent)


def details_of(
    record_id: str, evaluator: Evaluator, metrics: Iterable[Metric], evidence: Evidence | None = None
) -> Details:
    """The details from predictions and truth: everything except threshold, corruptions, drifts and embedding.

    Args:
        record_id: of the record of the same run.
        evaluator: joins predictions and truth.
        metrics: measured for each kind of defect.
        evidence: of the evaluator, if its curves are already computed.

    Raises:
        ContractError: a metric gave NaN or infinity.
    """
    evidence, metrics = evidence or evaluator.evidence(), list(metrics)
    scores = evaluator.predictions.scores.tolist()
    kinds = sorted({sample.defect for sample in evaluator.samples} - {GOOD})
    return Details(
        id=record_id,
        images=[
            ImageDetail(id=sample.id, defect=sample.defect, score=float(f"{score:.6g}"))
            for sample, score in zip(evaluator.samples, scores, strict=True)
        ],
        by_defect={kind: _values(metrics, _of_kind(evaluator, kind)) for kind in kinds},
        curves=_curves(evidence),
        classes=None if evidence.classes is None else ClassReport.of(evidence.classes),
    )


def _values(metrics: Iterable[Metric], evaluator: Evaluator) -> dict[str, float | None]:
    from adbench.engine.evaluate.evaluator import measure  # imports torch, which boards do not need

    figures = measure(metrics, evaluator.evidence())
    return {name: None if info.value is None else round(info.value, 6) for name, info in figures.items()}


def _of_kind(evaluator: Evaluator, kind: str) -> Evaluator:
    """The evaluator of the images of one kind of defect and all good ones."""
    places = [index for index, sample in enumerate(evaluator.samples) if sample.defect in (GOOD, kind)]
    whole = evaluator.predictions
    chosen = Predictions(
        ids=tuple(whole.ids[place] for place in places),
        geometry=tuple(whole.geometry[place] for place in places),
        scores=whole.scores[places],
        patches=None if whole.patches is None else tuple(whole.patches[place] for place in places),
    )
    return replace(evaluator, samples=[evaluator.samples[place] for place in places], predictions=chosen)


def _curves(evidence: Evidence) -> Curves:
    images, pixels = evidence.image_curve, evidence.pixel_curve
    roc = [] if images.undefined else thinned(*images.roc())
    pro = [] if pixels is None or pixels.undefined else thinned(*_upto(PRO_LIMIT, *pixels.pro()))
    return Curves(roc=roc, pro=pro)


def _upto(limit: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve up to a limit, with its point there."""
    inside = x <= limit
    return np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))


def thinned(x: np.ndarray, y: np.ndarray) -> list[Point]:
    """At most `MAX_POINTS` corners of an ascending curve from (0, 0), to 6 decimals.

    A curve with more corners keeps those at equal distances along it. The straight lines between them then differ from
    the curve by at most a hundredth of its width and height together.
    """
    dx, dy = np.diff(x), np.diff(y)
    straight = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) <= 1e-12  # with both neighbours
    corners = np.flatnonzero(np.concatenate([[True], ~straight, [True]]))
    x, y = x[corners], y[corners]
    if len(x) > MAX_POINTS:
        way = x / (x[-1] or 1) + y / (y[-1] or 1)
        chosen = np.unique(way.searchsorted(np.linspace(0, way[-1], MAX_POINTS)))
        x, y = x[chosen], y[chosen]
    return [(round(float(a), 6), round(float(b), 6)) for a, b in zip(x, y, strict=True)]


def write_details(folder: Path, details: Details) -> None:
    """Write `details.json` into a run's folder; it replaces an older file at once, never partly.

    Raises:
        StorageError: the disk is full or read-only, or the details are larger than `read_details` accepts.
    """
    text = canonical_json(details.to_json()) + "\n"
    if len(text) > MAX_DETAILS_BYTES:
        raise StorageError(f"{folder}: details of {len(details.images)} images are larger than {_LIMIT}")
    with storage_errors(folder):
        atomic_write(folder / DETAILS_FILE, text)


def read_details(path: Path) -> Details:
    """The details in a file, or in a run's folder.

    Raises:
        StorageError: the file is unreadable, too large, or holds no details.
    """
    folder = path if path.is_dir() else None
    file = path / DETAILS_FILE if folder else path
    return parse_details(read_plain(file, MAX_DETAILS_BYTES, "a file of details", folder), str(file))


def parse_details(text: str, where: str) -> Details:
    """Details from JSON that may come from an untrusted source, such as a line of a board's file.

    Raises:
        StorageError: the text is too large, is not JSON, has a newer schema, or does not fit the schema.
    """
    if len(text) > MAX_DETAILS_BYTES:
        raise StorageError(f"{where}: larger than {_LIMIT}; these are not details of adbench")
    data = parse_json(text, where)
    try:
        return Details.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        spot = one_line(".".join(str(part) for part in first["loc"]), 100)
        raise StorageError(f"{where}: not details of adbench: {spot}: {first['msg']}") from None
