"""Late fusion of anomaly maps: maps of several detectors of the same pixels, joined by the evidence of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adbench.api.dataset import Sample
from adbench.detector.fusion import How
from adbench.engine.evaluate.evaluator import Evaluator
from adbench.engine.features.contract import naming_component
from adbench.engine.store.pixel_evidence import PixelEvidence
from adbench.errors import DataError, UsageError


@dataclass(frozen=True)
class MapMember:
    """A run whose maps are joined with others.

    Attributes:
        name: of the run, for people.
        evaluator: of its test images.
        evidence: of a pixel's score among the pixels of normal images' maps.
    """

    name: str
    evaluator: Evaluator
    evidence: PixelEvidence

    @classmethod
    def of(cls, name: str, evaluator: Evaluator) -> MapMember:
        """The member of a run.

        Raises:
            DataError: the run has no maps, or no scores of the pixels of normal images.
        """
        normal = evaluator.predictions.normal
        if evaluator.predictions.patches is None:
            raise DataError(f"{name}: the method makes no anomaly maps; fuse it without --maps")
        if normal is None or normal.evidence is None:
            raise DataError(
                f"{name}: the run has no pixel scores of normal images, and p-values of pixels follow from them; run it"
                " again with --redo --threshold conformal"
            )
        return cls(name, evaluator, normal.evidence)


@dataclass(frozen=True)
class FusedMaps(Evaluator):
    """The evaluator of fused maps: its truth is that of the first run, after `require_aligned`.

    A pixel that a run ignores has the lowest score there, so the run says nothing about it. A pixel is ignored if every
    run ignores it.

    Attributes:
        members: the runs, of the same samples in the same order.
        how: evidence is joined.
    """

    members: Sequence[MapMember] = ()
    how: How = "sum"

    @classmethod
    def of(cls, members: Sequence[MapMember], how: How) -> FusedMaps:
        """The evaluator of some members, at least one."""
        first = members[0].evaluator
        return cls(
            first.dataset,
            first.samples,
            replace(first.predictions, normal=None),
            first.spec,
            first.grid,
            members=members,
            how=how,
        )

    def map(self, index: int) -> np.ndarray:
        """[H, W] float32: the joined evidence of each pixel of one test image on the evaluation grid."""
        every = np.stack([one.evidence(one.evaluator.map(index)) for one in self.members])
        joined: np.ndarray = (every.sum(axis=0) if self.how == "sum" else every.max(axis=0)).astype(np.float32)
        return joined

    def _ignored(self, sample: Sample) -> np.ndarray | None:
        found = [_ignored_by(one.evaluator, sample) for one in self.members]
        marked = [ignored for ignored in found if ignored is not None]
        together = np.logical_and.reduce(marked) if len(marked) == len(found) else np.zeros(1, bool)
        return together if together.any() else None


def _ignored_by(evaluator: Evaluator, sample: Sample) -> np.ndarray | None:
    with naming_component(evaluator.dataset, "ignored"):
        return evaluator.dataset.ignored(sample)


def require_aligned(members: Sequence[MapMember]) -> None:
    """Check that pixels of all runs are the same places of the sample: equal grids, image sizes and masks.

    Raises:
        UsageError: they are not, as where two cameras see a sample from two sides.
    """
    first = members[0]
    for other in members[1:]:
        if other.evaluator.grid != first.evaluator.grid:
            raise UsageError(
                f"{first.name} and {other.name} were evaluated on different grids; run both with one --evaluation"
            )
        for index, sample in enumerate(first.evaluator.samples):
            what = _difference(first.evaluator, other.evaluator, index, sample)
            if what:
                raise UsageError(
                    f"maps of {first.name} and {other.name} are not fused: {sample.id} has {what}, so their pixels are"
                    " not the same places; fuse scores alone, without --maps"
                )


def _difference(one: Evaluator, other: Evaluator, index: int, sample: Sample) -> str:
    """The difference that shows that two images of a sample are not aligned; empty for none."""
    sizes = [evaluator.predictions.geometry[index].original for evaluator in (one, other)]
    if sizes[0] != sizes[1]:
        return "images of {} x {} and {} x {} pixels".format(*sizes[0], *sizes[1])
    if not sample.anomalous:
        return ""
    masks = [_mask(evaluator, index) for evaluator in (one, other)]
    known = [mask for mask in masks if mask is not None]
    same = len(known) != 1 and all(np.array_equal(known[0], mask) for mask in known)
    return "" if same else "two different masks"


def _mask(evaluator: Evaluator, index: int) -> np.ndarray | None:
    with naming_component(evaluator.dataset, "mask"):
        return evaluator.dataset.mask(evaluator.samples[index])
