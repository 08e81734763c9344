"""Rules for datasets. They read every image of every category."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from adbench import Dataset, Sample, Split, UnknownName
from adbench.errors import printable
from adbench.reports import Survey
from adbench.testing.check import Broken, Rule, Subject, require
from adbench.testing.exercise import fingerprint


def check_ids_are_unique_and_stable(subject: Subject[Dataset]) -> None:
    """Ids are unique within the dataset, sorted within a split, and the same the next time."""
    first, second = (dict(_splits(subject.ready())) for _ in range(2))
    require(first == second, "The second time the splits were others.")
    ids = [sample.id for split in first.values() for sample in (*split.train, *split.test)]
    require(len(set(ids)) == len(ids), "An id is used twice.")
    for split in first.values():
        for part in (split.train, split.test):
            require(list(part) == sorted(part, key=lambda sample: sample.id), "They are not sorted by id.")


def check_categories_are_sorted(subject: Subject[Dataset]) -> None:
    """Categories are sorted, there is at least one, and an unknown one raises UnknownName."""
    dataset = subject.ready()
    names = tuple(dataset.categories())
    require(bool(names) and names == tuple(sorted(set(names))), f"They are {names}.")
    try:
        dataset.split("no-such-category")
    except UnknownName:
        return
    raise Broken("'no-such-category' was taken.")


def check_training_images_are_normal(subject: Subject[Dataset]) -> None:
    """Training images are normal ones, and no part of a split is empty."""
    for category, split in _splits(subject.ready()):
        require(bool(split.train) and bool(split.test), f"Category {category!r} lacks training or test images.")
        odd = [sample.id for sample in split.train if sample.anomalous]
        require(not odd, f"{odd[:1]} is not.")


def check_train_and_test_are_disjoint(subject: Subject[Dataset]) -> None:
    """No image is in both train and test, whatever it is called: their pixels are compared."""
    dataset = subject.ready()
    seen = {_pixels(dataset, sample): sample.id for _, split in _splits(dataset) for sample in split.train}
    for _, split in _splits(dataset):
        for sample in split.test:
            twin = seen.get(_pixels(dataset, sample))
            require(twin is None, f"{sample.id} shows what {twin} shows.")


def check_images_are_rgb(subject: Subject[Dataset]) -> None:
    """Images are [H, W, 3]: uint8, or float32 from 0 to 1."""
    dataset = subject.ready()
    for sample in _samples(dataset):
        image = dataset.image(sample)
        require(image.ndim == 3 and image.shape[2] == 3, f"{sample.id} is {list(image.shape)}.")
        scaled = image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
        require(image.dtype == np.uint8 or bool(scaled), f"{sample.id} is {image.dtype}, or out of range.")


def check_masks_fit_images(subject: Subject[Dataset]) -> None:
    """A mask is bool and as large as its image, and it marks something, or is None, only where there is a defect."""
    dataset = subject.ready()
    for sample in _samples(dataset):
        mask = dataset.mask(sample)
        if mask is None:
            require(sample.anomalous, f"{sample.id} is normal, but has None.")
            continue
        size = dataset.image(sample).shape[:2]
        require(mask.dtype == bool and mask.shape == size, f"{sample.id}: {mask.dtype} {mask.shape}, image {size}.")
        marked = bool(mask.any())
        require(marked == sample.anomalous, f"{sample.id}: the mask {'marks something' if marked else 'is empty'}.")


def check_ignored_pixels_fit_images(subject: Subject[Dataset]) -> None:
    """Ignored pixels are None, or bool and as large as their image, some of them True and some not."""
    dataset = subject.ready()
    for sample in _samples(dataset):
        ignored = dataset.ignored(sample)
        if ignored is not None:
            size = dataset.image(sample).shape[:2]
            fits = ignored.dtype == bool and ignored.shape == size
            require(fits, f"{sample.id}: {ignored.dtype} {ignored.shape}, image {size}.")
            require(bool(ignored.any()) and not ignored.all(), f"{sample.id}: none is ignored, or all are.")


def check_revision_and_digests_are_stable(subject: Subject[Dataset]) -> None:
    """The revision is not empty, digests are 64 hex digits, and both stay the same."""
    first, second = subject.ready(), subject.ready()
    require(bool(first.revision()) and first.revision() == second.revision(), "The revision is empty or changed.")
    for sample in _samples(first):
        digest = first.digest(sample)
        require(bool(re.fullmatch(r"[0-9a-f]{64}", digest)), f"The digest of {sample.id} is {digest!r}.")
        require(digest == second.digest(sample), f"The digest of {sample.id} changed.")


def check_surveys_name_files(subject: Subject[Dataset]) -> None:
    """`survey` of each category, and of no category, is None or a `Survey` of printable text, and stays the same."""
    dataset = subject.ready()
    for category in ("", *dataset.categories()):
        survey = dataset.survey(category)
        require(survey is None or isinstance(survey, Survey), f"That of {category!r} is {survey!r}.")
        require(survey == dataset.survey(category), f"That of {category!r} changed.")
        lines = [] if survey is None else [survey.labels, *map(str, survey.passed_over)]
        odd = [line for line in lines if line != printable(line)]
        require(not odd, f"That of {category!r} says {odd[:1]}, which not every terminal and file takes.")


def _splits(dataset: Dataset) -> Iterator[tuple[str, Split]]:
    yield from ((category, dataset.split(category)) for category in dataset.categories())


def _samples(dataset: Dataset) -> Iterator[Sample]:
    yield from (sample for _, split in _splits(dataset) for sample in (*split.train, *split.test))


def _pixels(dataset: Dataset, sample: Sample) -> str:
    return fingerprint(dataset.image(sample))


RULES: dict[str, tuple[Rule, ...]] = {
    "dataset": (
        check_categories_are_sorted,
        check_ids_are_unique_and_stable,
        check_training_images_are_normal,
        check_train_and_test_are_disjoint,
        check_images_are_rgb,
        check_masks_fit_images,
        check_ignored_pixels_fit_images,
        check_revision_and_digests_are_stable,
        check_surveys_name_files,
    )
}
