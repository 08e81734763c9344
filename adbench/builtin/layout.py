"""MVTec AD's layout of folders, as any dataset may use it.

```
ROOT/CATEGORY/train/good/*.png                        normal images to learn from
ROOT/CATEGORY/test/good/*.png                         normal images to judge
ROOT/CATEGORY/test/DEFECT/000.png                     defective images, a folder for each kind of defect
ROOT/CATEGORY/ground_truth/DEFECT/000_mask.png        their masks (``000.png`` will do as well), black where normal
```

ROOT may also be one category itself. Without a folder ``ground_truth/DEFECT`` that kind of defect has no annotation;
with it, every image needs its mask and every mask its image. Hidden files, files that are no images by name, and links
that lead out of ROOT are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adbench import GOOD, DataError, Sample, Split
from adbench.builtin.images import SUFFIXES


@dataclass(frozen=True)
class Scan:
    """The files of one category.

    Attributes:
        split: its samples by id.
        images: the image file of each sample, by id.
        masks: the mask file of each annotated sample, by id.
        annotated: the kinds of defects that have a folder of masks.
    """

    split: Split
    images: dict[str, Path]
    masks: dict[str, Path]
    annotated: frozenset[str]


def scan_category(category: str, folder: Path, root: Path) -> Scan:
    """Find the files of one category.

    Raises:
        DataError: no normal training image, no test image, a mask without an image, or two files for one thing.
    """
    return _Scanner(root, category, folder).scan()


@dataclass
class _Scanner:
    """Finds the files of one category."""

    root: Path
    category: str
    folder: Path
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)

    def scan(self) -> Scan:
        train = self._samples("train", "training")
        for sample in train:
            if sample.anomalous:
                raise DataError(
                    f"{self.images[sample.id]}: training images are normal; move the folder to {self.folder / 'test'}"
                )
        test = self._samples("test", "test")
        annotated = self._pair(test)
        return Scan(Split(train, test), self.images, self.masks, annotated)

    def _samples(self, part: str, what: str) -> tuple[Sample, ...]:
        """The samples of ``train`` or ``test`` by id, their files noted."""
        samples = []
        for defect in subfolders(self.folder / part, self.root):
            for path in _image_files(defect, self.root):
                sample = Sample(f"{self.category}/{part}/{defect.name}/{path.stem}", defect.name)
                other = self.images.setdefault(sample.id, path)
                if other is not path:
                    raise DataError(f"{other} and {path.name} have one name but for the suffix; rename one of them")
                samples.append(sample)
        if not samples:
            where = self.folder / part / (GOOD if part == "train" else "")
            raise DataError(
                f"category {self.category!r} has no {what} image: put normal images into {where}"
                f" ({', '.join(suffix[1:] for suffix in SUFFIXES)})"
            )
        return tuple(sorted(samples, key=lambda sample: sample.id))

    def _pair(self, test: tuple[Sample, ...]) -> frozenset[str]:
        """Find the image of each mask; the kinds of defects that have masks."""
        known = {sample.id for sample in test}
        truth = [path for path in subfolders(self.folder / "ground_truth", self.root) if path.name != GOOD]
        for defect in truth:
            for path in _image_files(defect, self.root):
                stem = f"{self.category}/test/{defect.name}/{path.stem}"
                partners = [name for name in (stem.removesuffix("_mask"), stem) if name in known]
                if not partners:
                    raise DataError(
                        f"{path}: a mask with no partner in {self.folder / 'test' / defect.name}; remove it"
                    )
                other = self.masks.setdefault(partners[0], path)
                if other is not path:
                    raise DataError(f"{other} and {path.name} are masks of one image; remove one of them")
        return frozenset(path.name for path in truth)


def is_category(folder: Path) -> bool:
    return (folder / "train").is_dir() or (folder / "test").is_dir()


def subfolders(folder: Path, root: Path) -> Iterator[Path]:
    """The folders in a folder, by name, without hidden ones and links that lead out of the root."""
    return _entries(folder, root, Path.is_dir)


def _image_files(folder: Path, root: Path) -> Iterator[Path]:
    return (path for path in _entries(folder, root, Path.is_file) if path.suffix.lower() in SUFFIXES)


def _entries(folder: Path, root: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        outside = path.is_symlink() and not path.resolve().is_relative_to(root)
        if not path.name.startswith(".") and not outside and wanted(path):
            yield path
