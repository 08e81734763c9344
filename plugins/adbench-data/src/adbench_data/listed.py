"""Datasets that list their images: each published set is a rule from its folders to items, and nothing more."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from adbench import BadImage, DataError, Field, Sample, Split, UnknownName
from adbench.datasets import SUFFIXES, FileDataset, PublishedDataset
from adbench.errors import printable
from adbench.reports import PassedOver, Survey
from adbench_data.listing import Item, Listing
from adbench_data.tree import Tree, suffix


class ListedDataset(FileDataset):
    """A dataset whose images are listed by a rule: `items` lists them, this class does the rest."""

    repair: ClassVar[str] = "correct the list"
    """What to do where a listed file is missing, for messages."""

    @abstractmethod
    def items(self, category: str) -> Iterable[Item]:
        """The images of a category, in any order.

        Raises:
            DataError: the files do not fit the rule.
        """

    @cached_property
    def tree(self) -> Tree:
        """The files below the root."""
        return Tree(self.root)

    def split(self, category: str) -> Split:
        return self.listing(category).split

    def image_path(self, sample: Sample) -> Path:
        images = self.listing(sample.id.split("/")[0]).images
        if sample.id not in images:
            raise UnknownName("sample", sample.id, images, f"of {self.title}")
        return self.root / images[sample.id]

    def mask_paths(self, sample: Sample) -> tuple[Path, ...]:
        path, listing = self.image_path(sample), self.listing(sample.id.split("/")[0])
        masks = listing.masks.get(sample.id, ())
        if not masks and sample.defect in listing.annotated:
            raise BadImage(path, f"has no mask, and other images of the defect {printable(sample.defect)} have one")
        return tuple(self.root / mask for mask in masks)

    def survey(self, category: str = "") -> Survey:
        if not category:
            return Survey()
        listing = self.listing(category)
        masks = (mask for masks in listing.masks.values() for mask in masks)
        read = {*listing.images.values(), *masks, *listing.left_out}
        left = [path for path in self._files_of(category) if path not in read and not self.is_no_image(path)]
        over = [PassedOver(printable(path), "is not named by the set's rule") for path in left]
        return Survey(listing.labels, (*over, *self._links(self.folder_of(category))))

    def _links(self, folder: str) -> Iterator[PassedOver]:
        for path, why in self.tree.unfollowed.items():
            if path.startswith(folder):
                yield PassedOver(printable(path), why)

    def is_no_image(self, path: str) -> bool:
        """Whether a file is no image, so that leaving it out needs no report."""
        return suffix(path) not in SUFFIXES

    def folder_of(self, category: str) -> str:
        """The folder of a category, below the root."""
        return category

    def _files_of(self, category: str) -> Iterable[str]:
        return self.tree.walk(self.folder_of(category))

    def listing(self, category: str) -> Listing:
        """The listing of a category.

        Raises:
            UnknownName: no such category.
            DataError: the files do not fit the rule, or an image or a mask is missing.
        """
        if category not in self.categories():
            raise UnknownName("category", category, self.categories(), f"of {self.title}")
        if category not in self._listings:
            self._listings[category] = self._listed(category)
        return self._listings[category]

    def _listed(self, category: str) -> Listing:
        return Listing.of(category, self.items(category), self.tree, self.title, self.repair)

    @cached_property
    def _listings(self) -> dict[str, Listing]:
        return {}


class PublishedSet(PublishedDataset, ListedDataset):
    """A published dataset in its original folders.

    Attributes:
        known: the names of its categories, which are folders below the root unless `_files_of` says otherwise.
        year: when it was published.
        sizes: numbers of images of each category, whatever their part, for sets whose split is not the publisher's.
    """

    repair = "unpack the archive again"
    known: ClassVar[tuple[str, ...]]
    year: ClassVar[str]
    sizes: ClassVar[dict[str, int]] = {}

    class Config(PublishedDataset.Config):
        partial: bool = Field(
            False, description="take what is there of a set that is here in part; else numbers of images must be right"
        )

    config: Any

    def categories(self) -> Sequence[str]:
        return self._there

    @cached_property
    def _there(self) -> list[str]:
        there = sorted(name for name in self.known if self.tree.has_folder(self.folder_of(name)))
        if not there:
            raise DataError(
                f"{self.title}: {printable(self.root)} holds none of the folders {', '.join(self.known[:3])}, ...;"
                f" {self._how_to_get()}"
            )
        return there

    def is_in(self, folder: Path) -> bool:
        return any((folder / self.folder_of(name)).is_dir() for name in self.known) and self.has_mark(folder)

    def has_mark(self, folder: Path) -> bool:  # noqa: ARG002  a set whose folders have common names overrides it
        """Whether a folder with the names of categories is this set's and no other's."""
        return True

    def revision(self) -> str:
        return self.year

    @property
    def board_name(self) -> str:
        """The name, with the options that change which images are test images."""
        chosen = self.config.model_dump(mode="json", exclude_defaults=True, exclude={"root"})
        options = (f"{key}-{value}" for key, value in sorted(chosen.items()))
        return re.sub(r"[^a-z0-9.-]+", "-", "-".join([self.name, *options]).lower())

    def _listed(self, category: str) -> Listing:
        listing = super()._listed(category)
        if not self.config.partial:
            if (expected := self.expected(category)) is not None:
                listing.require_counts(category, expected, self.title, self.repair)
            if category in self.sizes:
                listing.require_size(category, self.sizes[category], self.title, self.repair)
        return listing

    def expected(self, category: str) -> tuple[int, int] | None:
        """Numbers of training and test images under the options, as far as they were published."""
        return self.published.get(category)
