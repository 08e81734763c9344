"""The protocol: the rules of a comparison. They belong to the board, never to the recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Literal
from weakref import WeakKeyDictionary

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from adbench.api.bank import Source
from adbench.api.dataset import GOOD, Dataset, Sample
from adbench.engine.images.contamination import MOST, contaminate
from adbench.engine.images.exemplars import draw_exemplars, fault_of_labels
from adbench.engine.plan.aliases import aliases_of, blind_order
from adbench.engine.store.record import bounded_sha
from adbench.errors import DataError

_LATER = {"contaminate": None, "model_per": "category", "defect_shots": None}
"""Rules that came later, with the defaults that are left out."""


class Protocol(BaseModel):
    """The rules of a comparison.

    Attributes:
        shots: number of normal images to learn from; None for all. Seed s draws
            ``sorted(train)[s * shots:(s + 1) * shots]``, so draws of different seeds never share an image
            (AnomalyDINO's rule).
        limit_train: the training set is the first `limit_train` normal images by name.
        limit_test: the test set is the first `limit_test` images by name of each test folder.
        evaluation: the grid of the pixel metrics: the original one, or a square of this side.
        allow: the sources that a bank may learn from.
        class_names: whether a method may read the object's name.
        contaminate: the share of the training images that are defects out of the test set; None for none.
        model_per: ``"dataset"`` for one model that learns from the training images of every category.
        defect_shots: how many defective test images of each type are exemplars: a bank that learns from ``labelled``
            sees them with their labels, and no method is judged on them. None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shots: int | None = Field(None, ge=1)
    limit_train: int | None = Field(None, ge=1)
    limit_test: int | None = Field(None, ge=1)
    evaluation: Literal["original"] | int = "original"
    allow: tuple[Source, ...] = (Source.NOTHING, Source.TRAIN)
    class_names: bool = False
    contaminate: float | None = Field(None, gt=0, le=MOST)
    model_per: Literal["category", "dataset"] = "category"
    defect_shots: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _labels_have_rules(self) -> Protocol:
        fault = fault_of_labels(self.allow, self.defect_shots, self.contaminate, self.model_per)
        if fault:
            raise ValueError(fault)
        return self

    @model_serializer(mode="wrap")
    def _as_older_records(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what came later and does not hold: the ids of older records stay."""
        given: dict[str, Any] = write(self)
        return {name: value for name, value in given.items() if name not in _LATER or value != _LATER[name]}

    @property
    def grid(self) -> tuple[int, int] | None:
        """Height and width of the evaluation grid, or None for each image's own."""
        return None if isinstance(self.evaluation, str) else (self.evaluation, self.evaluation)


@dataclass(frozen=True)
class Task:
    """The training and test images of one unit.

    Attributes:
        train: training images, normal ones unless the protocol contaminates them.
        test: test images.
        sha: sha256 over ids and contents of all images, and the boundary between training and test images, in hex.
        skipped: ids of unreadable files that were left out.
        digests: the content of each image, by id.
        former_sha: the `sha` of records before schema 3: without that boundary.
        exemplars: defective images to learn from with their labels, where the protocol gives some.
    """

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    sha: str
    skipped: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict, compare=False)
    former_sha: str = ""
    exemplars: tuple[Sample, ...] = ()

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """The alias of each image, by its id."""
        return aliases_of((*self.train, *self.exemplars, *self.test), self.digests, self.sha)

    @cached_property
    def labels(self) -> Mapping[str, int]:
        """The class of each training image and exemplar, by alias: 0 for normal, else the number of its type.

        Empty without exemplars: the defects in a contaminated training set are labels that nobody sees.
        """
        if not self.exemplars:
            return {}
        types = sorted({sample.defect for sample in self.exemplars})
        numbers = {GOOD: 0, **{defect: number for number, defect in enumerate(types, 1)}}
        return {self.aliases[sample.id]: numbers[sample.defect] for sample in (*self.train, *self.exemplars)}

    @cached_property
    def blind_test(self) -> tuple[Sample, ...]:
        """The test images in the order for components, which reveals no label."""
        return blind_order(self.test, self.aliases)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Ids of test images whose file and mask are also a training image's; ``data verify`` compares pixels."""
        learned = {self.digests[sample.id] for sample in (*self.train, *self.exemplars)}
        return tuple(sample.id for sample in self.test if self.digests[sample.id] in learned)


def make_task(dataset: Dataset, category: str, protocol: Protocol, seed: int, *, skip_bad: bool = False) -> Task:
    """The task of a unit: its images.

    Args:
        dataset: the dataset.
        category: one of its categories.
        protocol: shots and limits.
        seed: the number of the draw of shots.
        skip_bad: leave out unreadable files, and list them.

    Raises:
        DataError: there are fewer normal images than shots, no image is left, or there are too few defects to
            contaminate with or to draw exemplars from.
    """
    learned_from = dataset.categories() if protocol.model_per == "dataset" else [category]
    train = tuple(one for name in learned_from for one in _training_images(dataset, name, protocol, seed))
    test = _first_of_each_folder(dataset.split(category).test, protocol.limit_test)
    skipped: list[str] = []
    if skip_bad:
        train, test = _readable(dataset, train, skipped), _readable(dataset, test, skipped)
    for name, samples in (("normal training image", train), ("test image", test)):
        if not samples:
            raise DataError(f"category {category!r} has no readable {name}; add some, or leave the category out")
    digests = _digests(dataset, (*train, *test))
    if protocol.contaminate is not None:
        if protocol.model_per == "dataset":
            raise DataError("contaminate has no meaning with one model for all categories; leave out one of them")
        train, test = contaminate(train, test, digests, protocol.contaminate, seed, category)
    exemplars: tuple[Sample, ...] = ()
    if protocol.defect_shots is not None:
        exemplars, test = draw_exemplars(test, digests, protocol.defect_shots, seed, category)
    return task_of(train, test, digests, tuple(skipped), exemplars)


def task_of(
    train: tuple[Sample, ...],
    test: tuple[Sample, ...],
    digests: Mapping[str, str],
    skipped: tuple[str, ...] = (),
    exemplars: tuple[Sample, ...] = (),
) -> Task:
    """The task of these images.

    Args:
        train: to learn from, in order.
        test: to judge.
        digests: the content of each image, by id.
        skipped: ids of images that cannot be read.
        exemplars: defective images with labels.
    """
    former = _sequence_sha((*train, *exemplars, *test), digests)
    return Task(train, test, bounded_sha(former, len(train), len(test)), skipped, digests, former, exemplars)


def _training_images(dataset: Dataset, category: str, protocol: Protocol, seed: int) -> tuple[Sample, ...]:
    """The normal images of a category that the protocol gives."""
    return _draw(dataset.split(category).train[: protocol.limit_train], protocol.shots, seed, category)


def why_too_few(dataset: Dataset, category: str, protocol: Protocol, seed: int) -> str:
    """The reason why a category has too few normal images for the protocol's shots; empty if it has enough.

    Empty, too, where nothing is drawn or the category cannot be read: its unit says why.
    """
    if protocol.shots is None:
        return ""
    with suppress(Exception):
        count = len(dataset.split(category).train[: protocol.limit_train])
        return _why_too_few(count, protocol.shots, seed, category)
    return ""


def _why_too_few(count: int, shots: int, seed: int, category: str) -> str:
    needed = (seed + 1) * shots
    if count >= needed:
        return ""
    return (
        f"category {category!r} has {count} normal images: draw {seed} of {shots} shots needs {needed}; use fewer shots"
        " or a smaller seed"
    )


def _draw(pool: tuple[Sample, ...], shots: int | None, seed: int, category: str) -> tuple[Sample, ...]:
    if shots is None:
        return pool
    if reason := _why_too_few(len(pool), shots, seed, category):
        raise DataError(reason)
    return pool[seed * shots : (seed + 1) * shots]


def _first_of_each_folder(samples: Sequence[Sample], limit: int | None) -> tuple[Sample, ...]:
    ordered = sorted(samples, key=lambda sample: sample.defect)
    return tuple(sample for _, group in groupby(ordered, key=lambda s: s.defect) for sample in list(group)[:limit])


def _readable(dataset: Dataset, samples: tuple[Sample, ...], skipped: list[str]) -> tuple[Sample, ...]:
    known = _FILES.setdefault(dataset, _Files())
    skipped += [sample.id for sample in samples if not known.readable(dataset, sample)]
    return tuple(sample for sample in samples if known.readable(dataset, sample))


@dataclass
class _Files:
    """Facts of a dataset's files, read once for all units that share images."""

    digests: dict[str, str] = field(default_factory=dict)
    fine: dict[str, bool] = field(default_factory=dict)

    def digest(self, dataset: Dataset, sample: Sample) -> str:
        if sample.id not in self.digests:
            self.digests[sample.id] = dataset.digest(sample)
        return self.digests[sample.id]

    def readable(self, dataset: Dataset, sample: Sample) -> bool:
        if sample.id not in self.fine:
            try:
                dataset.image(sample)
                dataset.mask(sample)
                dataset.ignored(sample)
            except DataError:
                self.fine[sample.id] = False
            else:
                self.fine[sample.id] = True
        return self.fine[sample.id]


_FILES: WeakKeyDictionary[Dataset, _Files] = WeakKeyDictionary()


def _digests(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, str]:
    known = _FILES.setdefault(dataset, _Files())
    return {sample.id: known.digest(dataset, sample) for sample in samples}


def _sequence_sha(samples: Sequence[Sample], digests: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.defect}\0{digests[sample.id]}\n".encode())
    return digest.hexdigest()
