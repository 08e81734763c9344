"""MVTec AD's layout of a category, which half of all sets follow with small changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adbench import GOOD
from adbench.datasets import MASK_SUFFIXES
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.tree import Tree, stem


@dataclass(frozen=True)
class Layout:
    """The names of folders and files in a category.

    Attributes:
        normal: the folder of normal images, in training and in test images.
        test: the folder of test images, which holds a folder for each type of defect.
        truth: the folder of masks, which holds a folder for each type of defect.
        mask: what the name of a mask adds to that of its image.
        unused: folders of images that belong to the set and are neither learned from nor judged.
    """

    normal: str = GOOD
    test: str = "test"
    truth: str = "ground_truth"
    mask: str = "_mask"
    unused: tuple[str, ...] = ()

    def items(self, tree: Tree, folder: str) -> Iterator[Item]:
        """The images of the category in a folder."""
        yield from (Item(path, TRAIN) for path in tree.images(f"{folder}/train/{self.normal}"))
        for kind in tree.folders(f"{folder}/{self.test}"):
            if kind != self.truth.rpartition("/")[2]:
                yield from self._kind(tree, folder, kind)
        for unused in self.unused:
            yield from (Item(path, LEFT_OUT) for path in tree.images(f"{folder}/{unused}"))

    def _kind(self, tree: Tree, folder: str, kind: str) -> Iterator[Item]:
        images = tree.images(f"{folder}/{self.test}/{kind}")
        if kind == self.normal:
            yield from (Item(path, TEST) for path in images)
            return
        masks = tree.by_stem(f"{folder}/{self.truth}/{kind}", MASK_SUFFIXES)
        for path in images:
            mask = masks.get(stem(path) + self.mask)
            yield Item(path, TEST, kind, () if mask is None else (mask,))
