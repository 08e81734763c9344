"""A method that has learned, with all that is known of it: what a detector asks, and what its file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adbench.api.backbone import Weights
from adbench.api.context import Context
from adbench.datasets import IgnoreMask
from adbench.detector.fit.appearance import Learned
from adbench.detector.fit.calibration import Calibration
from adbench.engine.plan.protocol import Task
from adbench.engine.plan.recipe import Recipe, part_infos
from adbench.engine.run.fitting import FittedMethod
from adbench.engine.run.method import Method
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.store.provenance import provenance_of
from adbench.engine.store.record import MetricInfo, PartInfo, Provenance, ResultRecord, canonical_json


class LearnedImage(BaseModel):
    """An image that a detector learned from.

    Attributes:
        name: for people; no path but the file's own name.
        sha256: of the file's bytes, and of what was said of how its pixels are read.
        alias: what the bank calls it.
        path: of its file, below the detector's folder, the dataset's folder or the folder of all normal images; None
            for an image that was given as an array.
        content: the sha256 of the file's bytes alone; None where `sha256` is that, or the image is no file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=1000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    alias: str = Field(max_length=100)
    path: str | None = Field(None, max_length=1000)
    content: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _stays_below(cls, path: str | None) -> str | None:
        """A path that leads to no other folder: from a stranger's detector nothing outside of it is read."""
        parts = [] if path is None else path.split("/")
        if any(part in ("", ".", "..") or any(sign in part for sign in "\\:\0") for part in parts):
            raise ValueError("a path of an image must be relative, with '/', and without '..'")
        return path


class Figures(BaseModel):
    """Metrics of a detector, and what they were measured on.

    Attributes:
        on: the images, in words.
        normal, abnormal: numbers of images.
        metrics: by name.
        record: the id of the record with these metrics; empty where no record was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: str = Field(max_length=300)
    normal: int = Field(ge=0)
    abnormal: int = Field(ge=0)
    metrics: dict[str, MetricInfo]
    record: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    @classmethod
    def of(cls, record: ResultRecord, task: Task) -> Figures:
        """The figures of a record on these images."""
        return cls(
            on=f"{record.task.dataset}/{record.task.category}",
            normal=sum(not sample.anomalous for sample in task.test),
            abnormal=sum(sample.anomalous for sample in task.test),
            metrics=record.metrics,
            record=record.id,
        )

    @property
    def words(self) -> str:
        """The figures that are defined, in %."""
        known = {name: one.value for name, one in self.metrics.items() if one.value is not None}
        figures = ", ".join(f"{name} {100 * value:.1f} %" for name, value in known.items()) or "nothing is defined"
        record = f"; record {self.record[:12]}" if self.record else ""
        return f"{figures} ({self.normal} normal, {self.abnormal} defective images{record})"


class FitCost(BaseModel):
    """What the fit cost, as records have it. Seconds, and memory in MB.

    Attributes:
        drew: whether another seed could have given another fit.
        extract_s: reading the images and computing their features.
        fit_s: fitting necks and bank, features included.
        threshold_s: the scores of normal images.
        recalled: images whose features were cached.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    drew: bool
    extract_s: float
    fit_s: float
    threshold_s: float
    recalled: int
    peak_memory_mb: float
    peak_gpu_mb: float | None
    runtimes: tuple[str, ...]

    @classmethod
    def of(cls, fitted: FittedMethod, threshold_s: float) -> FitCost:
        """Of a fit, and of the scores of normal images."""
        return cls(
            drew=fitted.drew,
            extract_s=fitted.reading.seconds,
            fit_s=fitted.fit_s,
            threshold_s=threshold_s,
            recalled=fitted.reading.cached,
            peak_memory_mb=fitted.peak_memory_mb,
            peak_gpu_mb=fitted.peak_gpu_mb,
            runtimes=tuple(sorted(fitted.reading.runtimes)),
        )


@dataclass(frozen=True)
class About:
    """What is known of a fitted method beside what it learned.

    Attributes:
        spec: all that decides a score, as records have it: parts with versions and options, files by content.
        parts: which component fills each slot, and who published it.
        seed, class_name: of the components' context.
        images: what it learned from, in order.
        learned: the appearance of these; None where no image was read.
        white: the number that is white in images of more than 8 bits.
        ignore: the pixels of all images that nobody looks at; None for none.
        weights, provenance: on what it ran.
        cost: of the fit.
        figures: what was measured, if anything was.
        history: changes of the bank since the fit, a sentence each.
        bundled: whether the file that it came from holds files that options name.
    """

    spec: Mapping[str, Any]
    parts: Sequence[PartInfo]
    seed: int
    class_name: str | None
    images: Sequence[LearnedImage]
    learned: Learned | None
    white: float | None
    weights: Sequence[Weights]
    provenance: Provenance
    cost: FitCost
    figures: Figures | None = None
    history: Sequence[str] = ()
    bundled: bool = False
    ignore: IgnoreMask | None = None

    @cached_property
    def id(self) -> str:
        """sha256 of what decides a score: the spec, the images, the seed, the class name, white and changes."""
        content = [self.spec, [image.sha256 for image in self.images], self.seed, self.class_name, self.white]
        ignored = [] if self.ignore is None else [self.ignore.digest]
        return hashlib.sha256(canonical_json([*content, list(self.history), *ignored]).encode()).hexdigest()


@dataclass(frozen=True)
class DetectorState:
    """A method that has learned.

    Attributes:
        recipe: complete.
        method: prepared and fitted.
        calibration: scores of normal images that it had not seen.
        about: what else is known of it.
        folders: owners of the scratch folders that the components may read; they last as long as this does.
        files: where images that it learned from lie here, by alias, as far as somebody gave them; no file is opened.
        home: the folder of the file that it came from; None for one that was fitted here.
    """

    recipe: Recipe
    method: Method
    calibration: Calibration = field(repr=False)
    about: About = field(repr=False)
    folders: object = field(repr=False, default=None)
    files: Mapping[str, Path] = field(repr=False, default_factory=dict)
    home: Path | None = None

    def facts(self) -> dict[str, str]:
        """All this in words, by what it is."""
        return facts_of(self.about, self.calibration)


def facts_of(about: About, calibration: Calibration) -> dict[str, str]:
    """What a detector is, in words: parts, one a line, then images, threshold, weights, versions, figures, changes."""
    facts = {
        "id": about.id[:12],
        "parts": "\n".join(f"{one.kind} {one.name} ({one.dist} {one.dist_version})" for one in about.parts),
        "learned from": f"{_counted(len(about.images))}, seed {about.seed}",
        **({} if about.ignore is None else {"ignored": about.ignore.words}),
        "threshold": calibration.words,
        "weights": ", ".join(f"{one.name} ({one.sha256[:12]})" for one in about.weights) or "none",
        "made": f"{about.provenance.started}, adbench {about.provenance.adbench}, {about.provenance.device}",
    }
    if about.figures is not None:
        facts[f"measured on {about.figures.on}"] = about.figures.words
    return facts | {f"change {number}": change for number, change in enumerate(about.history, 1)}


def _counted(images: int) -> str:
    return f"{images} normal image" + ("" if images == 1 else "s")


def about_of(
    builder: RecordBuilder,
    ctx: Context,
    images: tuple[LearnedImage, ...],
    learned: Learned | None,
    white: float | None,
    cost: FitCost,
    figures: Figures | None = None,
    *,
    ignore: IgnoreMask | None = None,
) -> About:
    """What is known of a method that was fitted just now."""
    parts = part_infos({slot: list(found) for slot, found in builder.components.items()}, builder.registry)
    dists = [part.dist for part in parts]
    return About(
        spec=builder.spec,
        parts=parts,
        seed=ctx.seed,
        class_name=ctx.class_name,
        images=images,
        learned=learned,
        white=white,
        weights=tuple(builder.weights),
        provenance=provenance_of(builder.device, builder.runtime, builder.weights, dists, builder.started),
        cost=cost,
        figures=figures,
        ignore=ignore,
    )
