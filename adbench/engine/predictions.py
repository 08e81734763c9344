"""Raw scores on disk: patch scores, image scores and geometry as safetensors. Truth is never among them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from adbench.api.geometry import Geometry
from adbench.engine.record import PredictionsInfo, storage_errors
from adbench.errors import StorageError

PREDICTIONS_FILE = "predictions.safetensors"


@dataclass(frozen=True)
class Predictions:
    """What a method said of the test images, in order.

    Attributes:
        ids: the images.
        geometry: where each prepared image lies in its original.
        scores: [N] float32, one score an image.
        patches: one [h, w] float32 a image, or None for methods without a map.
    """

    ids: tuple[str, ...]
    geometry: tuple[Geometry, ...]
    scores: np.ndarray
    patches: tuple[np.ndarray, ...] | None


class _Header(BaseModel):
    """The file's metadata."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str]
    geometry: list[tuple[tuple[int, int], tuple[int, int], tuple[float, float, float, float]]]
    grids: list[tuple[int, int]] | None


def write_predictions(folder: Path, predictions: Predictions) -> PredictionsInfo:
    """Write the file into a run's folder; its sha256 goes into the record.

    Raises:
        StorageError: disk full or read-only.
    """
    tensors = {"scores": predictions.scores.astype(np.float32, copy=False)}
    grids = None
    if predictions.patches is not None:
        grids = [(int(grid.shape[0]), int(grid.shape[1])) for grid in predictions.patches]
        tensors["patches"] = np.concatenate([grid.ravel() for grid in predictions.patches]).astype(
            np.float32, copy=False
        )
    header = _Header(
        ids=list(predictions.ids),
        geometry=[(item.original, item.size, item.box) for item in predictions.geometry],
        grids=grids,
    )
    data = save(tensors, metadata={"adbench": header.model_dump_json()})
    with storage_errors(folder):
        (folder / PREDICTIONS_FILE).write_bytes(data)
    return PredictionsInfo(file=PREDICTIONS_FILE, sha256=hashlib.sha256(data).hexdigest())


def read_predictions(folder: Path, info: PredictionsInfo) -> Predictions:
    """Read the file that a record names.

    Raises:
        StorageError: it is missing, damaged, or not the one that the record was made with.
    """
    path = folder / Path(info.file).name
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != info.sha256:
            raise StorageError(f"{path}: not the file that the record was made with; run the unit again with --redo")
        with safe_open(path, framework="numpy") as file:
            header = _Header.model_validate(json.loads((file.metadata() or {}).get("adbench", "null")))
            scores = file.get_tensor("scores")
            flat = file.get_tensor("patches") if header.grids is not None else None
    except (OSError, SafetensorError, ValueError, ValidationError) as error:
        raise StorageError(f"{path}: not readable as predictions ({error}); run the unit again with --redo") from None
    return Predictions(
        ids=tuple(header.ids),
        geometry=tuple(Geometry(*item) for item in header.geometry),
        scores=scores,
        patches=None if flat is None else _unpack(flat, header.grids or []),
    )


def _unpack(flat: np.ndarray, grids: list[tuple[int, int]]) -> tuple[np.ndarray, ...]:
    ends = np.cumsum([height * width for height, width in grids])
    return tuple(part.reshape(grid) for part, grid in zip(np.split(flat, ends[:-1]), grids, strict=True))


__all__ = ["PREDICTIONS_FILE", "Predictions", "read_predictions", "write_predictions"]
