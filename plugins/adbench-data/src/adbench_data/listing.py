"""The images of one category, as a set's rule lists them, and the checks that every list has to pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from adbench import GOOD, DataError, Sample, Split
from adbench.errors import printable
from adbench_data.tree import Tree, stem

Part: TypeAlias = Literal["train", "test", "left out"]
TRAIN: Part = "train"
TEST: Part = "test"
LEFT_OUT: Part = "left out"
"""An image that the set's own rule puts neither into training nor into test images; it is not reported."""


class Item(NamedTuple):
    """One image.

    Attributes:
        image: its file, relative to the dataset's root, with slashes.
        part: where it belongs.
        defect: the type of defect, or `GOOD`.
        masks: its mask files; their union counts.
        name: its name within its type of defect; by default the file's name without suffix.
    """

    image: str
    part: Part = TEST
    defect: str = GOOD
    masks: tuple[str, ...] = ()
    name: str = ""

    def sample(self, category: str) -> Sample:
        """The sample, whose id names category, part, type of defect and image."""
        return Sample(
            "/".join([category, self.part, self.defect, printable(self.name or stem(self.image))]), self.defect
        )


@dataclass(frozen=True)
class Listing:
    """What is known of a category.

    Attributes:
        split: its samples by id.
        images: the file of each sample, by id; relative to the root.
        masks: the mask files of each sample that has any.
        annotated: the types of defects of which at least one image has a mask.
        left_out: files that the rule leaves out.
        labels: how many images there are of each type, on one line.
        size: how many images were listed, with those that the rule leaves out.
    """

    split: Split
    images: dict[str, str]
    masks: dict[str, tuple[str, ...]]
    annotated: frozenset[str]
    left_out: frozenset[str]
    labels: str
    size: int

    @classmethod
    def of(cls, category: str, items: Iterable[Item], tree: Tree, title: str, repair: str) -> Listing:
        """Check and sort the items of a category.

        Args:
            category: its name.
            items: its images in any order.
            tree: the files that are there.
            title: of the dataset, for messages.
            repair: what to do where a file is missing, for messages.

        Raises:
            DataError: an image or mask is missing, a normal image has a mask, a training image is defective, two images
                have one name, or there is no training or no test image.
        """
        where = f"{title}, category {category!r}"
        every = list(items)
        listed = [item for item in every if item.part != LEFT_OUT]
        left_out = frozenset(path for item in every if item.part == LEFT_OUT for path in (item.image, *item.masks))
        _require_files(listed, tree, where, repair)
        _require_labels(listed, where)
        samples = [item.sample(category) for item in listed]
        named = _by_id(samples, listed, where)
        masks = {name: item.masks for name, item in named.items() if item.masks}
        annotated = frozenset(item.defect for item in listed if item.masks)
        images = {name: item.image for name, item in named.items()}
        split = _split(samples, named, where, repair)
        return cls(split, images, masks, annotated, left_out, _labels(split, len(every) - len(listed)), len(every))

    def require_counts(self, category: str, published: tuple[int, int], title: str, repair: str) -> None:
        """Raise `DataError` unless there are as many training and test images as were published."""
        found = len(self.split.train), len(self.split.test)
        if found != published:
            raise DataError(
                f"{title}, category {category!r}: {found[0]} training and {found[1]} test images are there, and"
                f" {published[0]} and {published[1]} were published; {repair}, or take what is there with the option"
                " partial=true"
            )

    def require_size(self, category: str, published: int, title: str, repair: str) -> None:
        """Raise `DataError` unless as many images were listed as were published."""
        if self.size != published:
            raise DataError(
                f"{title}, category {category!r}: {self.size} images are there, and {published} were published;"
                f" {repair}, or take what is there with the option partial=true"
            )


def _require_files(items: list[Item], tree: Tree, where: str, repair: str) -> None:
    for what, paths in (("images", _images(items)), ("masks", _masks(items))):
        missing = [path for path in paths if not tree.has(path)]
        if missing:
            count = f"{len(missing)} {what}" if len(missing) > 1 else f"one of the {what}"
            raise DataError(f"{where}: {count} of its list cannot be found, such as {printable(missing[0])}; {repair}")


def _images(items: list[Item]) -> Iterator[str]:
    return (item.image for item in items)


def _masks(items: list[Item]) -> Iterator[str]:
    return (mask for item in items for mask in item.masks)


def _require_labels(items: list[Item], where: str) -> None:
    for item in items:
        if item.defect == GOOD and item.masks:
            image = printable(item.image)
            raise DataError(
                f"{where}: {image} is normal and has a mask, {printable(item.masks[0])}; remove one of them"
            )
        if item.part == TRAIN and item.defect != GOOD:
            image = printable(item.image)
            raise DataError(
                f"{where}: {image} is defective ({printable(item.defect)}) and is to be trained on; move it"
            )


def _by_id(samples: list[Sample], items: list[Item], where: str) -> dict[str, Item]:
    named: dict[str, Item] = {}
    seen: set[str] = set()
    for sample, item in zip(samples, items, strict=True):
        if item.image in seen:
            raise DataError(f"{where}: {printable(item.image)} is listed twice; remove one of the two lines")
        other = named.setdefault(sample.id, item)
        if other is not item:
            both = f"{printable(other.image)} and {printable(item.image)}"
            raise DataError(f"{where}: {both} would both be called {sample.id}; rename one of them")
        seen.add(item.image)
    return named


def _split(samples: list[Sample], named: dict[str, Item], where: str, repair: str) -> Split:
    ordered = sorted(samples, key=lambda sample: sample.id)
    train = tuple(sample for sample in ordered if named[sample.id].part == TRAIN)
    test = tuple(sample for sample in ordered if named[sample.id].part == TEST)
    if not train or not test:
        raise DataError(f"{where}: there is no {'training' if not train else 'test'} image; {repair}")
    return Split(train, test)


def _labels(split: Split, left_out: int) -> str:
    """Such as ``train: 38 normal; test: 14 normal; crack 4, hole 4 defective``."""
    counts = Counter(printable(sample.defect) for sample in split.test)
    normal = counts.pop(GOOD, 0)
    defective = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
    more = f"; {left_out} left out by the set's rule" if left_out else ""
    return f"train: {len(split.train)} normal; test: {normal} normal; {defective} defective{more}"
