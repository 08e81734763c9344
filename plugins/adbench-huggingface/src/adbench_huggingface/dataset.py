"""Runs as a folder of images with ``metadata.jsonl``, which ``datasets.load_dataset`` reads, and a card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adbench import StorageError, UsageError
from adbench.files import atomic_write
from adbench.records import RunImage, ScoredRun, to_frame
from adbench_huggingface.card import card

ROWS = "scores"
"""The folder of the images, with the file of their rows."""


@dataclass
class Written:
    """What a folder holds.

    Attributes:
        runs, rows, photographs: how many.
        forced: names of datasets whose photographs were copied, though not everybody may publish them.
    """

    runs: int = 0
    rows: int = 0
    photographs: int = 0
    forced: list[str] = field(default_factory=list)


def write_dataset(out: Path, runs: Iterable[ScoredRun], *, photographs: bool | None = None) -> Written:
    """Write a dataset: a row for each run and test image, maps in gray, masks, figures, and the card.

    Args:
        out: a folder that is new or empty.
        runs: with their images.
        photographs: whether the images themselves are copied; None copies those that anybody may publish.

    Raises:
        UsageError: the folder is not empty, or no run has a result.
        StorageError: it cannot be written.
    """
    found = list(runs)
    if not found:
        raise UsageError("no run has a result; give runs that ended with the status ok")
    new_folder(out)
    written = Written(runs=len(found))
    with stored(out):
        (out / ROWS).mkdir()
        with (out / ROWS / "metadata.jsonl").open("w", encoding="utf-8") as file:
            for run in found:
                for row in _rows(out / ROWS, run, photographs, written):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        frame = to_frame(run.record for run in found)
        frame.to_json(out / "figures.jsonl", orient="records", lines=True, force_ascii=False)
        atomic_write(out / "README.md", card(found, photographs=written.photographs))
    return written


def new_folder(out: Path) -> None:
    """Make a folder.

    Raises:
        UsageError: something is in it, or it is a file.
        StorageError: it cannot be made.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"--out {out} is not empty; give a new folder, or delete this one")
    with stored(out):
        out.mkdir(parents=True, exist_ok=True)


@contextmanager
def stored(place: Path) -> Iterator[None]:
    """Turn a failed write into one sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror or error}; free some space") from None


def _rows(folder: Path, run: ScoredRun, photographs: bool | None, written: Written) -> Iterator[dict[str, Any]]:
    """The rows of a run, whose pictures are written on the way."""
    copies = run.dataset.may_be_shown if photographs is None else photographs
    name = run.record.task.dataset
    if copies and not run.dataset.may_be_shown and name not in written.forced:
        written.forced.append(name)
    low, high = run.limits if run.has_maps else (None, None)
    for number, image in enumerate(run.images()):
        files = _pictures(folder, run, image, f"{number:04}-{_slug(image.id)}.png", photograph=copies)
        written.rows += 1
        written.photographs += copies
        yield {**files, **_about(run, image), "map_low": low, "map_high": high}


def _about(run: ScoredRun, image: RunImage) -> dict[str, Any]:
    task = run.record.task
    return {
        "image_id": image.id,
        "dataset": task.dataset,
        "category": task.category,
        "defect": image.defect,
        "defective": image.defect != "good",
        "method": run.record.recipe.name,
        "seed": task.seed,
        "score": image.score,
        "threshold": run.threshold,
        "alarm": None if run.threshold is None else image.score > run.threshold,
        "record": run.record.id,
    }


def _pictures(folder: Path, run: ScoredRun, image: RunImage, name: str, *, photograph: bool) -> dict[str, str | None]:
    """Write photograph, map and mask; returns their places in the columns that `datasets` reads as images.

    Photographs and masks of two methods are the same files.
    """
    place = f"{_slug(run.record.task.dataset)}/{_slug(run.record.task.category)}-s{run.record.task.seed}"
    mask = None if image.mask is None else 255 * image.mask.astype(np.uint8)
    layers = {
        "image_file_name": (f"images/{place}/{name}", run.pixels(image.id) if photograph else None),
        "map_file_name": (f"maps/{run.record.id[:12]}/{name}", None if image.map is None else run.gray(image.map)),
        "mask_file_name": (f"masks/{place}/{name}", mask),
    }
    for path, pixels in layers.values():
        if pixels is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / path)
    return {column: None if pixels is None else path for column, (path, pixels) in layers.items()}


def _slug(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:80] or "x"
