"""The folder of predictions: rows for all images, and for each a heatmap, a mask and its contours."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adbench.api.atomic_file import atomic_write
from adbench.detector.outputs.coco import CocoFile
from adbench.detector.outputs.contours import labelme_of, regions_of
from adbench.detector.outputs.kinds import KINDS
from adbench.detector.outputs.lines import LineFile
from adbench.detector.outputs.rows import RowWriter, row_of
from adbench.detector.prediction import Prediction
from adbench.engine.store.record import storage_errors
from adbench.errors import BadImage, UsageError


class PredictionFolder:
    """Writes predictions one by one, in constant memory.

    | in the folder | holds |
    |---|---|
    | ``predictions.csv``, ``predictions.jsonl`` | a row for each image |
    | ``heatmaps/NAME.png`` | the image, glowing where its anomaly map is high |
    | ``masks/NAME.png`` | white where the map is above the pixel threshold |
    | ``labelme/NAME.json`` | the contours of the mask, for labelme |
    | ``coco.json`` | the contours of all masks; it appears when the folder is closed |
    | ``explanations/NAME.png`` | the most anomalous patch beside the nearest normal patch, on request |

    Args:
        folder: where it all goes.
        kinds: which of `KINDS` are written beside the rows.
        rows: writes the rows; None for new tables.
        contours: holds the lines of ``coco.json``; None for none before.
        explain: whether each image is explained, in a picture and in its row of ``predictions.jsonl``.
        normal: folders in which to look for normal images to show.

    Raises:
        StorageError: disk full or read-only; what was written before stays whole.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[str] = KINDS,
        rows: RowWriter | None = None,
        contours: LineFile | None = None,
        *,
        explain: bool = False,
        normal: Sequence[Path] = (),
    ) -> None:
        self.folder, self._kinds = folder, tuple(kinds)
        self._explain, self._normal = explain, tuple(normal)
        self.rows = rows or RowWriter(folder)
        self._contours = contours
        self._coco: CocoFile | None = None
        if "coco" in kinds:
            with storage_errors(folder):
                self._contours = contours or LineFile(None)
            self._coco = CocoFile(folder / "coco.json", self._contours)

    def write(self, name: str, outcome: Prediction | BadImage, drift: float | None = None) -> None:
        """Write the outcome of one image; the row comes last.

        Args:
            name: the image's path in the table; its files are called after it.
            outcome: the prediction, or the error with which the image cannot be read.
            drift: the evidence for drift up to this image.
        """
        row = row_of(name, outcome, drift)
        try:
            if self._kinds and isinstance(outcome, Prediction) and outcome.map is not None:
                with storage_errors(self.folder):
                    self._write_pictures(name, outcome, outcome.map)
        except BadImage as gone:  # the file was scored, and then moved away
            row["notes"].append(f"no heatmap: {gone}")
        if self._explain:
            row["explanation"] = self._explanation(name, outcome, row["notes"])
        self.rows.write(row)

    def _explanation(self, name: str, outcome: Prediction | BadImage, notes: list[str]) -> dict[str, Any] | None:
        """Write the picture of an explanation; returns the explanation as JSON, or None with a note that says why."""
        if isinstance(outcome, BadImage):
            return None
        try:
            explanation = outcome.explain(self._normal)
        except (BadImage, UsageError) as error:
            notes.append(f"no explanation: {error}")
            return None
        with storage_errors(self.folder):
            _write_png(self._place("explanations", name, ".png"), np.asarray(explanation.show()))
        return explanation.to_json()

    def finish(self) -> None:
        """Write ``coco.json`` of all images so far.

        Raises:
            StorageError: disk full or read-only.
        """
        if self._coco is not None:
            with storage_errors(self.folder):
                self._coco.write()

    def close(self) -> None:
        """Write ``coco.json``, and close all files."""
        self.rows.close()
        try:
            self.finish()
        finally:
            if self._contours is not None:
                self._contours.close()

    def _write_pictures(self, name: str, prediction: Prediction, scores: np.ndarray) -> None:
        glowing = prediction.heatmap() if "heatmaps" in self._kinds else None
        if glowing is not None:
            _write_png(self._place("heatmaps", name, ".png"), glowing)
        mask = prediction.mask
        if mask is None:
            return
        if "masks" in self._kinds:
            _write_png(self._place("masks", name, ".png"), mask.astype(np.uint8) * np.uint8(255))
        if {"labelme", "coco"} & {*self._kinds}:
            self._write_contours(name, prediction, mask, scores)

    def _write_contours(self, name: str, prediction: Prediction, mask: np.ndarray, scores: np.ndarray) -> None:
        regions, size = regions_of(mask, scores), (mask.shape[0], mask.shape[1])
        if "labelme" in self._kinds:
            path = self._place("labelme", name, ".json")
            beside = os.path.relpath(Path(prediction.name).absolute(), path.parent.absolute())
            atomic_write(path, json.dumps(labelme_of(beside, size, regions), indent=1))
        if self._coco is not None:
            self._coco.add(name, size, regions)

    def _place(self, kind: str, name: str, suffix: str) -> Path:
        """The path of a file of an image, always below the folder, whatever the image's name."""
        parts = [part for part in Path(name).parts if part not in ("..", ".", os.sep, Path(name).anchor)]
        path = self.folder.joinpath(kind, *parts)
        path = path if path.suffix == suffix else path.with_name(path.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _write_png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
    atomic_write(path, file.getvalue())
