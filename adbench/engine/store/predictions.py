"""Raw scores on disk: patch and image scores, foregrounds and geometry as safetensors. Truth is never among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError
from safetensors import SafetensorError, safe_open

from adbench.api.geometry import Affine, Geometry, is_invertible
from adbench.api.untrusted import open_plain
from adbench.engine.store.array_file import BOOL, FLOAT32, Stored, file_state
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.pixel_evidence import checked
from adbench.engine.store.record import PredictionsInfo, storage_errors
from adbench.errors import StorageError

PREDICTIONS_FILE = "predictions.safetensors"
MAX_PIXELS = 1 << 29
"""Of an image that raw scores may be of: a map of it takes 2 GiB."""

TOLERANCE = 1e-3
"""By which probabilities of classes may miss 1 together."""

NORMAL_PIXELS = "normal_pixels"
"""The tensor of the curve of normal pixels, which files of before there was one do not have."""
KINDS = {"patches": FLOAT32, "foreground": BOOL}


@dataclass(frozen=True)
class Predictions:
    """The scores of the test images by one method, in order.

    Attributes:
        ids: the images.
        geometry: where each prepared image lies in its original.
        scores: [N] float32, one score an image.
        patches: one [h, w] float32 an image, in memory or on disk, or None for methods without a map.
        foreground: one [h, w] bool an image, True where a patch is the object's, on the grid of its patches; None where
            nothing was masked, and in files of before foregrounds were kept. Without patches it is not written.
        normal: image scores of normal training images that the bank had not seen, which thresholds are made of; None
            where none were wanted.
        classes: [N, K] float32, probabilities of classes, or None for methods that give none.
    """

    ids: tuple[str, ...]
    geometry: tuple[Geometry, ...]
    scores: np.ndarray
    patches: Sequence[np.ndarray] | None
    foreground: Sequence[np.ndarray] | None = None
    normal: NormalScores | None = None
    classes: np.ndarray | None = None


_Place = tuple[tuple[int, int], tuple[int, int], tuple[float, float, float, float]]
_WarpedPlace = tuple[tuple[int, int], tuple[int, int], tuple[float, float, float, float], Affine]
"""A geometry; only one that was turned has a fourth part, as files of before there were such have none."""


class _Header(BaseModel):
    """The file's metadata."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str]
    geometry: list[_Place | _WarpedPlace]
    grids: list[tuple[NonNegativeInt, NonNegativeInt]] | None
    normal: tuple[str, str] | None = Field(None, description="where the normal scores come from, or why there are none")
    pixels: tuple[FiniteFloat, FiniteFloat] | None = Field(None, description="of normal maps: mean and deviation")

    def to_json(self) -> str:
        """The header; files without figures of pixels are the bytes that they were before there were any."""
        return self.model_dump_json(exclude={"pixels"} if self.pixels is None else None)


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
        geometry=[_place(item) for item in predictions.geometry],
        grids=None if patches is None else [(int(grid.shape[0]), int(grid.shape[1])) for grid in patches],
        normal=None if normal is None else (normal.source, normal.reason),
        pixels=None if normal is None else normal.pixels,
    )
    about: dict[str, object] = {"__metadata__": {"adbench": header.to_json()}}
    places = sum(height * width for height, width in header.grids or ())
    masks = None if patches is None else predictions.foreground
    classes = predictions.classes
    arrays = {} if classes is None else {"classes": ("F32", 4, classes.size)}
    arrays |= {} if normal is None else {"normal": ("F32", 4, len(normal.values))}
    curve = None if normal is None else normal.evidence
    arrays |= {} if curve is None else {NORMAL_PIXELS: ("F32", 4, 2 * len(curve.scores))}
    arrays |= {} if patches is None else {"patches": ("F32", 4, places)}
    arrays |= {"scores": ("F32", 4, len(predictions.scores))}
    arrays |= {} if masks is None else {"foreground": ("BOOL", 1, places)}
    end = 0
    for name, (kind, each, count) in arrays.items():
        start, end = end, end + each * count
        about[name] = {"dtype": kind, "shape": [count], "data_offsets": [start, end]}
    text = json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    if classes is not None:
        yield _little_endian(classes)
    if normal is not None:
        yield _little_endian(normal.values)
    yield from () if curve is None else map(_little_endian, (curve.scores, curve.evidence))
    yield from map(_little_endian, patches or ())
    yield _little_endian(predictions.scores)
    yield from (mask.astype(BOOL).tobytes() for mask in masks or ())


def _place(item: Geometry) -> _Place | _WarpedPlace:
    place = item.original, item.size, item.box
    return place if item.warp is None else (*place, item.warp)


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype("<f4").tobytes()


def read_predictions(folder: Path, info: PredictionsInfo) -> Predictions:
    """Read the file that a record names.

    Raises:
        StorageError: it is missing, damaged, or not the one that the record was made with.
    """
    path = folder / Path(info.file).name
    try:
        state = file_state(path)
        if _digest(path, folder) != info.sha256:
            raise StorageError(f"{path}: not the file that the record was made with; run the unit again with --redo")
        with safe_open(path, framework="numpy") as file:
            header = _Header.model_validate(json.loads((file.metadata() or {}).get("adbench", "null")))
            scores = file.get_tensor("scores")
            normal = None if header.normal is None else _normal(file, header)
            _require_whole(header, scores)
            named = "classes" in set(file.keys())
            classes = _probabilities(file.get_tensor("classes"), len(scores)) if named else None
        patches, foreground = _both_stored(path, header.grids, state)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(
            f"{path}: not readable as predictions ({_reason(error)}); run the unit again with --redo"
        ) from None
    return Predictions(
        ids=tuple(header.ids),
        geometry=tuple(Geometry(*item) for item in header.geometry),
        scores=scores,
        patches=patches,
        foreground=foreground,
        normal=normal,
        classes=classes,
    )


def _probabilities(values: np.ndarray, images: int) -> np.ndarray:
    """[N, K] float32 from a file's row of numbers; raises `ValueError` if they are no probabilities of N images."""
    count = values.size // max(images, 1)
    if values.dtype != np.float32 or count < 2 or values.size != count * images:
        raise ValueError(f"its classes are not those of {images} images")
    found = values.reshape(images, count)
    if not np.isfinite(found).all() or (found < 0).any() or (np.abs(found.sum(1) - 1) > TOLERANCE).any():
        raise ValueError("its classes are no probabilities")
    return found


def _normal(file: Any, header: _Header) -> NormalScores:
    assert header.normal is not None
    curve = checked(file.get_tensor(NORMAL_PIXELS)) if NORMAL_PIXELS in file.keys() else None  # noqa: SIM118  no mapping
    return NormalScores(file.get_tensor("normal"), *header.normal, pixels=header.pixels, evidence=curve)


def _digest(path: Path, folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_plain(path, "a file of raw scores", folder) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except StorageError as error:
        raise StorageError(f"{error}; run the unit again with --redo") from None
    return digest.hexdigest()


def _require_whole(header: _Header, scores: np.ndarray) -> None:
    """Raise `ValueError` if the content of a file does not fit its header; the file may be untrusted."""
    count = len(header.ids)
    if scores.shape != (count,) or scores.dtype != np.float32 or not np.isfinite(scores).all():
        raise ValueError(f"scores are not {count} finite numbers")
    if len(header.geometry) != count or (header.grids is not None and len(header.grids) != count):
        raise ValueError(f"not as many places and grids as the {count} images")
    for (height, width), (rows, columns), box, *warp in header.geometry:
        whole = 0 < height * width <= MAX_PIXELS and 0 < rows * columns <= MAX_PIXELS and min(height, width, rows) > 0
        if not whole or not all(abs(end) <= MAX_PIXELS for end in box):
            raise ValueError(f"an image of {height} x {width} pixels, prepared as {rows} x {columns}, is none")
        if not all(map(is_invertible, warp)):
            raise ValueError("an image has a warp that cannot be undone")
    if header.grids is not None:
        sizes = [height * width if height > 0 and width > 0 else -1 for height, width in header.grids]
        if min(sizes, default=1) < 1:
            raise ValueError("a grid of patch scores has no places")


def _reason(error: Exception) -> str:
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return " ".join(text.split())[:200]


def _both_stored(
    path: Path, grids: Sequence[tuple[int, int]] | None, state: object
) -> tuple[Stored | None, Stored | None]:
    """Patch scores and foreground; raises `ValueError` where there are grids, and no patch scores for them."""
    patches, foreground = (_stored(path, name, grids, state) for name in ("patches", "foreground"))
    if grids is not None and patches is None:
        raise ValueError("its patches are missing")
    return patches, foreground


def _stored(path: Path, name: str, grids: Sequence[tuple[int, int]] | None, state: object) -> Stored | None:
    """The patch scores or the foreground of each image, left in the file; None where it has none.

    Raises:
        ValueError: the file has them in another size or type.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        about = json.loads(file.read(size)).get(name)
    if about is None or grids is None:
        return None
    (start, end), kind = about["data_offsets"], KINDS[name]
    if end - start != kind.itemsize * sum(height * width for height, width in grids):
        raise ValueError(f"its {name} have another size than its grids")
    return Stored(path, grids, 8 + size + start, kind, state)


__all__ = ["PREDICTIONS_FILE", "Predictions", "read_predictions", "write_predictions"]
