"""Test images with what several methods say of each; maps and masks are written as files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adbench import StorageError, UsageError
from adbench.records import RunImage, ScoredRun


@dataclass(frozen=True)
class Judgement:
    """What one method says of one image.

    Attributes:
        score: the image score.
        alarm: whether it is above the threshold; None where the run has none.
        map: the file of the map, of 8 bits; None for a method without maps.
        limits: the values of the map at level 0 and at level 255, those of all maps of the run.
    """

    score: float
    alarm: bool | None
    map: Path | None
    limits: tuple[float, float] | None


@dataclass(frozen=True)
class JudgedImage:
    """One test image with the judgements of all methods.

    Attributes:
        file: the photograph.
        id: in its dataset.
        dataset, category: of the image.
        defect: its kind of defect, or ``"good"``.
        mask: the file of its mask; None without an annotation, and for a normal image.
        judgements: by the field of the method.
    """

    file: Path
    id: str
    dataset: str
    category: str
    defect: str
    mask: Path | None
    judgements: dict[str, Judgement] = field(default_factory=dict)


@dataclass
class _Fields:
    """Names for the fields of methods: a method with other options, seed or protocol gets a number behind its name."""

    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def name_of(self, run: ScoredRun) -> str:
        """The name of the run's field; the same for all categories."""
        record = run.record
        key = repr((record.recipe.name, record.recipe.spec_sha, record.task.seed, sorted(record.task.protocol.items())))
        if key not in self._known:
            slug = re.sub(r"\W+", "_", record.recipe.name, flags=re.ASCII).strip("_").lower() or "method"
            slug = f"m_{slug}" if slug[0].isdigit() else slug
            count = 1 + sum(re.fullmatch(rf"{slug}(_\d+)?", name) is not None for name in self.methods)
            name = slug if count == 1 else f"{slug}_{count}"
            about = {"method": record.recipe.name, "seed": record.task.seed, "protocol": dict(record.task.protocol)}
            self.methods[name] = {**about, "figures": {}}
            self._known[key] = name
        return self._known[key]


def judged_images(runs: Iterable[ScoredRun], folder: Path) -> tuple[list[JudgedImage], dict[str, dict[str, Any]]]:
    """The test images of all runs, each once, with the judgements of every run on it.

    Args:
        runs: with their images.
        folder: for maps, masks, and photographs of datasets that are not files.

    Returns:
        The images, and for the field of each method its name, seed, protocol and figures by category.

    Raises:
        UsageError: no run has a result.
        StorageError: a file cannot be written.
    """
    fields, found = _Fields(), dict[str, JudgedImage]()
    try:
        for run in runs:
            _add(run, fields, found, folder)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror or error}; free some space") from None
    if not found:
        raise UsageError("no run has a result; give runs that ended with the status ok")
    return list(found.values()), fields.methods


def _add(run: ScoredRun, fields: _Fields, found: dict[str, JudgedImage], folder: Path) -> None:
    name, task = fields.name_of(run), run.record.task
    figures = {metric: info.value for metric, info in run.record.metrics.items()}
    fields.methods[name]["figures"][f"{task.dataset}/{task.category}"] = figures
    for image in run.images():
        key = f"{task.dataset}/{image.id}"
        if key not in found:
            found[key] = _judged_image(run, image, folder / "images" / _slug(task.dataset))
        file = folder / "maps" / name / _slug(task.dataset) / f"{_slug(image.id)}.png"
        heat = None if image.map is None else _written(file, run.gray(image.map))
        alarm = None if run.threshold is None else image.score > run.threshold
        found[key].judgements[name] = Judgement(image.score, alarm, heat, None if heat is None else run.limits)


def _judged_image(run: ScoredRun, image: RunImage, folder: Path) -> JudgedImage:
    """An image without judgements; its mask is written, and its photograph if it is no file that others can read."""
    slug, task = _slug(image.id), run.record.task
    photograph = image.file
    if photograph is None or photograph.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".bmp"):
        photograph = _written(folder / f"{slug}.png", run.pixels(image.id))
    mask = None
    if image.mask is not None and image.mask.any():
        mask = _written(folder / f"{slug}_mask.png", 255 * image.mask.astype(np.uint8))
    return JudgedImage(photograph.absolute(), image.id, task.dataset, task.category, image.defect, mask)


def _written(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file.absolute()


def _slug(text: str) -> str:
    """A text as a file's name; equal names only for equal texts."""
    return re.sub(r"[^A-Za-z0-9.]", lambda other: "-" if other[0] == "/" else f"_{ord(other[0]):x}_", text)
