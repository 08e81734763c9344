"""Detectors of runs: the method that a unit fitted, written beside its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.engine.run import orders
from adbench.engine.run.dispatch import Dispatcher
from adbench.engine.run.orders import Callbacks
from adbench.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.dataset import Dataset, Sample
    from adbench.api.executor import Executor
    from adbench.datasets import IgnoreMask
    from adbench.detector.fit.appearance import Learned
    from adbench.detector.fit.state import DetectorState, LearnedImage
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.fitting import UnitFit
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Registry


def dispatcher_of(registry: Registry, settings: Settings, executor: Executor, callbacks: Callbacks) -> Dispatcher:
    """A dispatcher that can keep detectors, here and in workers elsewhere; ``settings.save`` decides whether it does.

    Args:
        registry: what is installed.
        settings: of the run.
        executor: where units run.
        callbacks: hear of units while they run.
    """
    return Dispatcher(registry, settings, executor, callbacks, work=run_order, save_detector=save_detector)


def run_order(order: str) -> str:
    """Run the units of an order, and keep their detectors if its settings say so: the `Work` of executors elsewhere."""
    return orders.run_order(order, save_detector)


def save_detector(fit: UnitFit, record: ResultRecord, path: Path) -> None:
    """Write the detector of a unit: its own method with its own normal scores, and the figures of its record.

    Args:
        fit: what it is made of.
        record: of the unit.
        path: of the file.

    Raises:
        UsageError: the method is no detector, or a part cannot keep what it learned.
        BadImage: a training image cannot be read any more.
        StorageError: the disk is full or read-only.
    """
    from adbench.detector.store.file import write_detector

    write_detector(path, _state(fit, record))


def _state(fit: UnitFit, record: ResultRecord) -> DetectorState:
    """The state of the detector of a unit."""
    from adbench.detector.fit.calibration import Calibration
    from adbench.detector.fit.state import DetectorState, Figures, FitCost, about_of
    from adbench.detector.recipes import detectable

    builder, ctx = fit.unit.builder, fit.unit.ctx
    unit, task = builder.unit, builder.task
    detectable(unit.recipe, builder.registry, ctx.class_name)
    about = about_of(
        builder,
        ctx,
        tuple(_learned_image(fit, sample) for sample in task.train),
        _appearance(unit.dataset, task.train),
        _white_of(unit.dataset),
        FitCost.of(fit.fitted, record.cost.threshold_s if record.cost else 0.0),
        Figures.of(record, task),
        ignore=_ignore_mask_of(unit.dataset, task.train),
    )
    return DetectorState(unit.recipe, fit.fitted.method, Calibration(fit.normal, fit.peaks, fit.rule), about)


def _learned_image(fit: UnitFit, sample: Sample) -> LearnedImage:
    """An image with its path below the dataset's folder."""
    from adbench.datasets import FileDataset
    from adbench.detector.fit.places import learned_image

    dataset, task = fit.unit.unit.dataset, fit.unit.task
    digest, alias = task.digests[sample.id], task.aliases[sample.id]
    if not isinstance(dataset, FileDataset):
        return learned_image(sample.id, digest, alias, None, None)
    file = dataset.image_path(sample)
    return learned_image(file.name, digest, alias, file, dataset.root)


def _appearance(dataset: Dataset, samples: Iterable[Sample]) -> Learned | None:
    """What the images look like; each is read once more, because its features may come from the cache."""
    from adbench.detector.fit.appearance import Appearance, Learned

    return Learned.of(Appearance.of(dataset.image(sample)) for sample in samples)


def _ignore_mask_of(dataset: Dataset, samples: Sequence[Sample]) -> IgnoreMask | None:
    """The pixels of all images that nobody looks at; None for none.

    Raises:
        UsageError: each image has such pixels of its own.
    """
    from adbench.datasets import FileDataset, IgnoreMask

    if isinstance(dataset, FileDataset) and samples:
        mask = dataset.ignore_mask(samples[0].id.split("/")[0])
        if not all(_is_same(mask, dataset.ignored(sample)) for sample in samples):
            raise UsageError(
                f"{dataset.title} ignores other pixels in each image, and a detector ignores the same in all of them"
            )
        return mask
    ignored = dataset.ignored(samples[0]) if samples else None
    return None if ignored is None else IgnoreMask(ignored)


def _is_same(mask: IgnoreMask | None, ignored: np.ndarray | None) -> bool:
    """Whether the ignored pixels of an image are those of the mask."""
    if mask is None or ignored is None:
        return mask is None and ignored is None
    return mask.pixels.shape == ignored.shape and bool((mask.pixels == ignored).all())


def _white_of(dataset: Dataset) -> float | None:
    """The number that is white in images of more than 8 bits."""
    from adbench.datasets import FileDataset

    return dataset.white if isinstance(dataset, FileDataset) else None
