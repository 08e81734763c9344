"""The checks for datasets catch each way in which a dataset can be wrong."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from adbench import DataError, Dataset, Sample, Split, UnknownName
from adbench.reports import PassedOver, Survey
from adbench.testing import Broken, Unavailable, checks_for, parametrize_with_checks

SERIAL = count()


class Memory(Dataset):
    """Six small images of noise, one of them with a bright square."""

    name = "memory"

    def categories(self):
        return ("noise",)

    def split(self, category):
        if category not in self.categories():
            raise UnknownName("category", category, self.categories())
        return Split(
            train=tuple(Sample(f"noise/train/{i}") for i in range(3)),
            test=(Sample("noise/test/good/0"), Sample("noise/test/good/1"), Sample("noise/test/spot/0", "spot")),
        )

    def image(self, sample):
        seed = int(hashlib.sha256(sample.id.encode()).hexdigest()[:8], 16)
        image = np.random.default_rng(seed).integers(0, 100, (8, 9, 3), dtype=np.uint8)
        image[self.mask(sample)] += 100
        return image

    def mask(self, sample):
        mask = np.zeros((8, 9), dtype=bool)
        mask[2:4, 3:5] = sample.anomalous
        return mask

    def digest(self, sample):
        return hashlib.sha256(sample.id.encode()).hexdigest()

    def revision(self):
        return "1"


class Doubled(Memory):
    """Uses an id twice."""

    def split(self, category):
        split = super().split(category)
        return replace(split, test=(split.train[0], *split.test))


class Unsorted(Memory):
    """Has its categories in another order."""

    def categories(self):
        return ("noise", "brick")

    def split(self, category):
        return super().split("noise" if category == "brick" else category)


class Guessing(Memory):
    """Takes any category."""

    def split(self, category):
        return super().split("noise")


class Tainted(Memory):
    """Trains on a defect."""

    def split(self, category):
        split = super().split(category)
        return Split(train=split.test[2:], test=split.test[:2])


class Leaking(Memory):
    """Tests on a training image under another name."""

    def image(self, sample):
        return super().image(replace(sample, id="noise/train/0") if sample.id == "noise/test/good/1" else sample)


class Gray(Memory):
    """Has one channel."""

    def image(self, sample):
        return super().image(sample)[..., 0]


class Loose(Memory):
    """Has float images from 0 to 255."""

    def image(self, sample):
        return super().image(sample).astype(np.float32)


class Cropped(Memory):
    """Has masks of another size."""

    def mask(self, sample):
        return super().mask(sample)[:, :8]

    def image(self, sample):
        return np.zeros((8, 9, 3), dtype=np.uint8)


class Overlooked(Memory):
    """Ignores all pixels."""

    def ignored(self, sample):
        return np.ones(self.image(sample).shape[:2], dtype=bool)


class Unmarked(Memory):
    """Has an empty mask for a defect."""

    def mask(self, sample):
        return np.zeros((8, 9), dtype=bool)


class Restless(Memory):
    """Has another revision each time."""

    def revision(self):
        return str(next(SERIAL))


class Hashless(Memory):
    """Has no digests."""

    def digest(self, sample):
        return sample.id


class Obeyed(Memory):
    """Tells a terminal what to do."""

    def survey(self, category=""):
        return Survey("good 3 normal", (PassedOver("noise/\x1b[2J.gif", "is of the kind gif"),))


class Forgetful(Memory):
    """Says another thing each time."""

    def survey(self, category=""):
        return Survey(f"good {next(SERIAL)} normal")


class Listing(Memory):
    """Surveys in a form of its own."""

    def survey(self, category=""):
        return ["noise/0.gif"]


class Absent(Memory):
    """Is not on this machine."""

    def categories(self):
        raise DataError("dataset 'memory' is not there; get it")


@pytest.mark.slow
@parametrize_with_checks([Memory], expected_failures={"import-is-light": "a module of tests imports what it likes"})
def test_conforms(check):
    check()


@pytest.mark.parametrize(
    ("broken", "name", "seen"),
    [
        (Doubled, "ids-are-unique-and-stable", "used twice"),
        (Unsorted, "categories-are-sorted", "('noise', 'brick')"),
        (Guessing, "categories-are-sorted", "'no-such-category' was taken"),
        (Tainted, "training-images-are-normal", "noise/test/spot/0"),
        (Leaking, "train-and-test-are-disjoint", "noise/test/good/1 shows what noise/train/0 shows"),
        (Gray, "images-are-rgb", "[8, 9]"),
        (Loose, "images-are-rgb", "float32, or out of range"),
        (Cropped, "masks-fit-images", "(8, 8), image (8, 9)"),
        (Unmarked, "masks-fit-images", "the mask is empty"),
        (Overlooked, "ignored-pixels-fit-images", "none is ignored, or all are"),
        (Restless, "revision-and-digests-are-stable", "changed"),
        (Obeyed, "surveys-name-files", r"says ['noise/\x1b[2J.gif"),
        (Forgetful, "surveys-name-files", "changed"),
        (Listing, "surveys-name-files", "is ['noise/0.gif']"),
        (Hashless, "revision-and-digests-are-stable", "is 'noise/train/0'"),
    ],
)
def test_the_check_sees_it(broken, name, seen):
    (check,) = [check for check in checks_for(broken()) if check.name == name]
    with pytest.raises(Broken, match="dataset 'memory'") as caught:
        check()
    assert seen in str(caught.value)


def test_a_dataset_that_is_not_there_is_skipped_with_its_reason():
    (check,) = [check for check in checks_for(Absent()) if check.name == "images-are-rgb"]
    with pytest.raises(Unavailable, match="get it"):
        check()
