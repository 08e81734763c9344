"""Scores of normal images by banks that were fitted without them; thresholds follow from these scores.

Every training image that is scored here was left out of the fit before. Features come from the feature cache, so a fold
costs the fit of a bank and the scoring of its images. Many images need one fit on 80 % of them. Of few images each is
left out once, which costs about K fits of a small bank.

A network that is tuned to normal images is tuned anew for each fold, to the images of the fold's bank: one that had
seen the images that it scores would give too low a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.features import Features, FeatureStream, ImageScores
from adbench.api.geometry import Geometry
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.evaluate.folds import Fold, folds_of, too_few
from adbench.engine.evaluate.ignoring import lowest_where, on_evaluation_grid
from adbench.engine.features.contract import is_out_of_memory
from adbench.engine.plan.aliases import with_ids
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.process.scratch import delete
from adbench.engine.run.method import Method, split_scores
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.pixel_evidence import PixelEvidence
from adbench.errors import AdbenchError, UnitTimeout
from adbench.registration.registry import Registry

OnScores = Callable[[Features, Sequence[ImageScores]], None]
"""A callback: features of a batch of scored images, and their scores."""

SAMPLED = (128, 128)
"""The grid on which maps of normal images are sampled: a smooth map has little more to say, and memory stays small."""
ANY = Rule("quantile")
"""A rule that takes as few normal scores as there are."""

StreamOf = Callable[[Sequence[Sample]], FeatureStream]
"""Makes the stream of the features of some images."""


class FoldTools(NamedTuple):
    """What a fold is scored with.

    Attributes:
        method: prepared and not fitted.
        training_stream: makes the stream of some images to learn from, in every view.
        stream: makes the stream of some images to score.
        labelled_stream: makes the stream of some images and of all exemplars, with labels; None without exemplars.
    """

    method: Method
    training_stream: StreamOf
    stream: StreamOf
    labelled_stream: StreamOf | None = None

    def streams(self, samples: Sequence[Sample]) -> dict[Source, FeatureStream]:
        """The streams of some normal images, by what a method may learn from."""
        nothing, learn = self.stream(()), self.training_stream(samples)
        labelled = learn if self.labelled_stream is None else self.labelled_stream(samples)
        return {Source.TRAIN: learn, Source.LABELLED: labelled, Source.TEST: nothing, Source.NOTHING: nothing}


def normal_scores_of(
    unit: PreparedUnit,
    rule: Rule | None,
    registry: Registry,
    watch: Watch,
    on_scores: OnScores = lambda _features, _scores: None,
) -> NormalScores | None:
    """Scores of a unit's normal training images; None where no threshold is wanted.

    Args:
        unit: what is run.
        rule: how a threshold follows from the scores.
        registry: makes a new method for each fold.
        watch: called with the progress of the folds.
        on_scores: called with each batch of scored images, in the order of the result.
    """
    if rule is None:
        return None
    task, progress, aside = unit.task, StageProgress(watch, "threshold"), unit.aside("threshold")
    pixels = NormalPixels(unit)
    images = task.train, task.digests

    def expect(folds: Sequence[Fold]) -> None:
        read = [unit.method.images_read(len(fold.learn), 0, len(task.exemplars)) for fold in folds]
        progress.total = sum(read) + sum(len(fold.left_out) for fold in folds)

    def tools(fold: Fold) -> FoldTools:
        own = aside.tuned_to(fold.learn)
        ways = own.training_images, own.images, own.labelled_images
        return FoldTools(_new_method(own, registry), *(partial(way, progress=progress.advance) for way in ways))

    with unit.clock.measure("threshold"), progress.running():
        scores = too_few_for(unit.method, rule, *images, aside.ctx) or normal_scores(
            unit.method, *images, tools, aside.ctx, expect, on_scores=pixels.noting(on_scores)
        )
    reason = with_ids(scores.reason, task.aliases)
    return replace(
        scores, reason=reason, pixels=pixels.moments, evidence=pixels.evidence if len(scores.values) else None
    )


class Peaks:
    """The highest pixel of each normal image's map, noted while a bank that had not seen the image scores it.

    Args:
        spec: how patch scores become a map; None for the usual way.
        ignored: gives the pixels [H, W] bool of an image, by its alias, that nobody looks at; None for none.
    """

    def __init__(self, spec: MapSpec | None, ignored: Callable[[str], np.ndarray | None] = lambda _: None) -> None:
        self._spec, self._ignored = spec, ignored
        self._found: list[float] = []

    def note(self, features: Features, scores: Sequence[ImageScores]) -> None:
        """Take a batch of images with their scores."""
        for geometry, one in zip(features.geometry, scores, strict=True):
            if one.patches is not None:
                found = anomaly_map(one.patches.numpy(), geometry, self._spec)
                self._found.append(float(lowest_where(found, self._ignored(one.id)).max()))

    def of(self, count: int) -> np.ndarray | None:
        """[N] float32 for so many images; None where the method gives no maps."""
        return np.array(self._found, np.float32) if count and len(self._found) == count else None


class NormalPixels:
    """The pixels of normal images' maps, by banks that had not seen the images.

    Args:
        unit: what is run.
    """

    def __init__(self, unit: PreparedUnit) -> None:
        self._dataset, self._spec, self._grid = unit.unit.dataset, unit.unit.recipe.map, unit.unit.protocol.grid
        self._samples = {unit.task.aliases[sample.id]: sample for sample in unit.task.train}
        self._count, self._total, self._squares = 0, 0.0, 0.0
        self._sampled: list[np.ndarray] = []

    def noting(self, on_scores: OnScores) -> OnScores:
        """A callback that notes the maps of a batch before another one is called."""

        def note(features: Features, scores: Sequence[ImageScores]) -> None:
            for geometry, one in zip(features.geometry, scores, strict=True):
                if one.patches is not None:
                    self._note(one.patches.numpy(), geometry, one.id)
            on_scores(features, scores)

        return note

    def _note(self, patches: np.ndarray, geometry: Geometry, alias: str) -> None:
        self._sampled.append(self._seen(patches, geometry, alias, SAMPLED))
        if self._dataset.judges_marks:
            values = self._seen(patches, geometry, alias, self._grid).astype(np.float64)
            self._count += values.size
            self._total, self._squares = self._total + float(values.sum()), self._squares + float((values**2).sum())

    def _seen(self, patches: np.ndarray, geometry: Geometry, alias: str, grid: tuple[int, int] | None) -> np.ndarray:
        """[P] the pixels of a map on a grid that are not ignored."""
        found = anomaly_map(patches, geometry, self._spec, grid)
        ignored = self._dataset.ignored(self._samples[alias])
        seen: np.ndarray = found.ravel() if ignored is None else found[~on_evaluation_grid(ignored, grid)]
        return seen

    @property
    def moments(self) -> tuple[float, float] | None:
        """Mean and standard deviation of all pixels; None unless the dataset judges marked pixels."""
        if not self._count:
            return None
        mean = self._total / self._count
        return mean, float(np.sqrt(max(self._squares / self._count - mean**2, 0.0)))

    @property
    def evidence(self) -> PixelEvidence | None:
        """The curve of the pixels on the grid `SAMPLED`; None for a method without maps."""
        every = np.concatenate(self._sampled) if self._sampled else np.zeros(0, np.float32)
        return PixelEvidence.of(every) if len(every) else None


def all_normal_scores(unit: PreparedUnit, registry: Registry, watch: Watch) -> tuple[NormalScores, np.ndarray | None]:
    """Scores of a unit's normal training images, however few they are, because p-values use them, too.

    Args:
        unit: what is run.
        registry: makes a new method for each fold.
        watch: called with the progress of the folds.

    Returns:
        The image scores, and the highest pixel of each image's map [N] float32; None for a method without maps.
    """
    task = unit.task
    samples = {task.aliases[sample.id]: sample for sample in task.train}
    peaks = Peaks(unit.unit.recipe.map, lambda alias: unit.unit.dataset.ignored(samples[alias]))
    scores = normal_scores_of(unit, ANY, registry, watch, peaks.note)
    assert scores is not None
    return scores, peaks.of(len(scores.values))


def enough_for(unit: PreparedUnit, rule: Rule, scores: NormalScores) -> NormalScores:
    """All scores of normal images, or none of them, with the reason, if the rule needs more images."""
    return too_few_for(unit.method, rule, unit.task.train, unit.task.digests, unit.ctx) or scores


def _new_method(unit: PreparedUnit, registry: Registry) -> Method:
    """The method of a unit, not fitted, with an empty folder for its files."""
    delete(unit.ctx.workdir)
    unit.ctx.workdir.mkdir()
    method = replace(
        Method.of(components_of(unit.unit.recipe, registry), unit.unit.recipe.map),
        backbone=unit.method.backbone,
        tuned=unit.method.tuned,
    )
    method.prepare(unit.ctx)
    return method


def normal_scores(
    method: Method,
    samples: Sequence[Sample],
    digests: Mapping[str, str],
    tools: Callable[[Fold], FoldTools],
    ctx: Context,
    expect: Callable[[Sequence[Fold]], None] = lambda _: None,
    *,
    on_scores: OnScores = lambda _features, _scores: None,
) -> NormalScores:
    """Scores of normal images, each by a bank that was fitted without it.

    Where the scores cannot be computed, the result gives the reason; no error is raised, since a run without a
    threshold still has a result.

    Args:
        method: one like those of the folds; it is not fitted.
        samples: the normal training images.
        digests: the content of each, by id.
        tools: makes what a fold is scored with; called once for each fold.
        ctx: of the unit; decides which images are left out.
        expect: called with the folds before the first fit.
        on_scores: called with each batch of scored images, in the order of the result.

    Raises:
        UnitTimeout: the unit's time is up.
    """
    source, folds = folds_of(samples, digests, ctx)
    try:
        reason = _why_not(method, samples, folds)
        if reason:
            return NormalScores(np.zeros(0, np.float32), source, reason)
        expect(folds)
        parts = [_fold_scores(tools(fold), fold, ctx, on_scores) for fold in folds]
    except UnitTimeout:
        raise
    except Exception as error:
        if not isinstance(error, AdbenchError) and not is_out_of_memory(error):
            raise
        why = str(error) if isinstance(error, AdbenchError) else "the method runs out of memory"
        return NormalScores(np.zeros(0, np.float32), source, f"fitted on fewer images, {why}")
    return NormalScores(np.concatenate(parts), source)


def too_few_for(
    method: Method, rule: Rule, samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context
) -> NormalScores | None:
    """As `too_few`; None also where the method gives no scores for another reason."""
    _, folds = folds_of(samples, digests, ctx)
    return None if _why_not(method, samples, folds) else too_few(rule, samples, digests, ctx)


def _why_not(method: Method, samples: Sequence[Sample], folds: Sequence[Fold]) -> str:
    if method.bank.learns_from is Source.TEST:
        return "the bank learns from the test images: no normal image can be left out of it"
    if not method.learns_from_normal:
        return "the method learns from no normal image, and a threshold would have to"
    if len(samples) > 1 and not folds[0].learn:
        return "all normal images have one content, and it cannot be learned from and judged"
    return "a single normal image cannot be learned from and judged" if len(samples) < 2 else ""


def _fold_scores(tools: FoldTools, fold: Fold, ctx: Context, on_scores: OnScores) -> np.ndarray:
    """[N] float32 scores of the images that the fold leaves out."""
    method = tools.method
    method.fit(tools.streams(fold.learn), ctx)
    images: list[ImageScores] = []
    for features in tools.stream(fold.left_out):
        scored = split_scores(*method.score(features))
        on_scores(features, scored)
        images += scored
    scores: np.ndarray = method.aggregate(images).detach().float().cpu().numpy()
    return scores
