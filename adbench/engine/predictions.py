"""Raw scores on disk: patch scores, image scores and geometry as safetensors. Truth is never among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from adbench.api.geometry import Geometry
from adbench.api.plain import open_plain
from adbench.engine.filed import Filed
from adbench.engine.record import PredictionsInfo, storage_errors
from adbench.engine.threshold import NormalScores
from adbench.errors import StorageError

PREDICTIONS_FILE = "predictions.safetensors"
MAX_PIXELS = 1 << 29
"""Of an image that raw scores may be of: a map of it takes 2 GiB."""


@dataclass(frozen=True)
class Predictions:
    """What a method said of the test images, in order.

    Attributes:
        ids: the images.
        geometry: where each prepared image lies in its original.
        scores: [N] float32, one score an image.
        patches: one [h, w] float32 an image, in memory or on disk, or None for methods without a map.
        foreground: one [h, w] an image, not 0 where a patch is the object's, or None where nothing was masked. It is
            for pictures of the run, and no part of the file.
        normal: image scores of normal training images that the bank had not seen, which thresholds are made of; None
            where nobody asked for them.
    """

    ids: tuple[str, ...]
    geometry: tuple[Geometry, ...]
    scores: np.ndarray
    patches: Sequence[np.ndarray] | None
    foreground: Sequence[np.ndarray] | None = None
    normal: NormalScores | None = None


class _Header(BaseModel):
    """The file's metadata."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str]
    geometry: list[tuple[tuple[int, int], tuple[int, int], tuple[float, float, float, float]]]
    grids: list[tuple[int, int]] | None
    normal: tuple[str, str] | None = Field(None, description="where the normal scores come from, or why there are none")


def write_predictions(folder: Path, predictions: Predictions) -> PredictionsInfo:
    """Write the file into a run's folder, an image at a time; its sha256 goes into the record.

    Raises:
        StorageError: disk full or read-only.
    """
    digest = hashlib.sha256()
    with storage_errors(folder), (folder / PREDICTIONS_FILE).open("wb") as file:
        for part in _parts(predictions):
            digest.update(part)
            file.write(part)
    return PredictionsInfo(file=PREDICTIONS_FILE, sha256=digest.hexdigest())


def _parts(predictions: Predictions) -> Iterator[bytes]:
    """What the safetensors library would write of these arrays, which it can only do with all in memory."""
    patches, normal = predictions.patches, predictions.normal
    header = _Header(
        ids=list(predictions.ids),
        geometry=[(item.original, item.size, item.box) for item in predictions.geometry],
        grids=None if patches is None else [(int(grid.shape[0]), int(grid.shape[1])) for grid in patches],
        normal=None if normal is None else (normal.source, normal.reason),
    )
    about: dict[str, object] = {"__metadata__": {"adbench": header.model_dump_json()}}
    arrays = {} if normal is None else {"normal": len(normal.values)}
    arrays |= {} if header.grids is None else {"patches": sum(height * width for height, width in header.grids)}
    end = 0
    for name, count in {**arrays, "scores": len(predictions.scores)}.items():
        start, end = end, end + 4 * count
        about[name] = {"dtype": "F32", "shape": [count], "data_offsets": [start, end]}
    text = json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    if normal is not None:
        yield _little_endian(normal.values)
    yield from map(_little_endian, patches or ())
    yield _little_endian(predictions.scores)


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype("<f4").tobytes()


def read_predictions(folder: Path, info: PredictionsInfo) -> Predictions:
    """Read the file that a record names.

    Raises:
        StorageError: it is missing, damaged, or not the one that the record was made with.
    """
    path = folder / Path(info.file).name
    try:
        if _digest(path, folder) != info.sha256:
            raise StorageError(f"{path}: not the file that the record was made with; run the unit again with --redo")
        with safe_open(path, framework="numpy") as file:
            header = _Header.model_validate(json.loads((file.metadata() or {}).get("adbench", "null")))
            scores = file.get_tensor("scores")
            normal = None if header.normal is None else NormalScores(file.get_tensor("normal"), *header.normal)
            _require_whole(header, scores, file.get_slice("patches").get_shape() if header.grids is not None else None)
        patches = None if header.grids is None else _filed(path, header.grids)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{path}: not readable as predictions ({error}); run the unit again with --redo") from None
    return Predictions(
        ids=tuple(header.ids),
        geometry=tuple(Geometry(*item) for item in header.geometry),
        scores=scores,
        patches=patches,
        normal=normal,
    )


def _digest(path: Path, folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_plain(path, "a file of raw scores", folder) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except StorageError as error:
        raise StorageError(f"{error}; run the unit again with --redo") from None
    return digest.hexdigest()


def _require_whole(header: _Header, scores: np.ndarray, patches: list[int] | None) -> None:
    """Raise `ValueError` if a file does not hold what its header says: it may be a stranger's."""
    count = len(header.ids)
    if scores.shape != (count,) or scores.dtype != np.float32 or not np.isfinite(scores).all():
        raise ValueError(f"scores are not {count} finite numbers")
    if len(header.geometry) != count or (header.grids is not None and len(header.grids) != count):
        raise ValueError(f"not as many places and grids as the {count} images")
    for (height, width), (rows, columns), box in header.geometry:
        whole = 0 < height * width <= MAX_PIXELS and 0 < rows * columns <= MAX_PIXELS and min(height, width, rows) > 0
        if not whole or not all(abs(end) <= MAX_PIXELS for end in box):
            raise ValueError(f"an image of {height} x {width} pixels, prepared as {rows} x {columns}, is none")
    if header.grids is not None:
        sizes = [height * width if height > 0 and width > 0 else -1 for height, width in header.grids]
        if min(sizes, default=1) < 1 or patches != [sum(sizes)]:
            raise ValueError("patch scores are not as many as their grids say")


def _filed(path: Path, grids: Iterable[tuple[int, int]]) -> Filed:
    """The patch scores of each image, left in the file."""
    file = path.open("rb")
    size = int.from_bytes(file.read(8), "little")
    start, _ = json.loads(file.read(size))["patches"]["data_offsets"]
    return Filed(file, grids, 8 + size + start)


__all__ = ["PREDICTIONS_FILE", "Predictions", "read_predictions", "write_predictions"]
