"""MVTec AD's layout of folders, as any dataset may use it.

```
ROOT/CATEGORY/train/good/*.png                        normal images to learn from
ROOT/CATEGORY/test/good/*.png                         normal images to judge
ROOT/CATEGORY/test/DEFECT/000.png                     defective images, a folder for each kind of defect
ROOT/CATEGORY/ground_truth/DEFECT/000_mask.png        their masks, which mark the defect
ROOT/CATEGORY/ignore.png                              pixels of all images that nobody looks at, or ignore.json
ROOT/CATEGORY/test/DEFECT/000.ignore.png              those of one image alone, beside it, or 000.ignore.json
```

ROOT may also be one category itself. Names are read as people mean them (`adbench.builtin.folders.names`): ``ok`` and
``Normal`` are ``good``, ``Ground_Truth/Scratch/000_LABEL.PNG`` is the mask of ``test/scratch/000.png``. A name that may
mean normal or defective is refused, with the line that settles it. Training images may lie in ``train`` itself, and the
masks of one image in a folder of its name (MVTec LOCO's) or numbered: their union is its mask.

Without a folder ``ground_truth/DEFECT`` that kind of defect has no annotation; with it, every image needs its mask and
every mask its image. Hidden files are passed over, and so is what lies deeper, what is no image by name, and links that
lead out of ROOT: `Scan.passed_over` lists them all but the hidden ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from adbench import GOOD, DataError, Sample, Split
from adbench.builtin.folders.leftovers import is_hidden, leads_out, leftovers
from adbench.builtin.folders.names import (
    image_stems,
    is_zero,
    masked_stem,
    meaning,
    numbered_stem,
    part_named,
    same,
    spelt,
)
from adbench.builtin.images.ignoring import IGNORE_FILES, is_own_mask, own_mask_file
from adbench.builtin.images.reading import MASK_SUFFIXES, SUFFIXES
from adbench.errors import printable
from adbench.reports import PassedOver

T = TypeVar("T")


@dataclass(frozen=True)
class Scan:
    """The files of one category.

    Attributes:
        split: its samples by id.
        images: the image file of each sample, by id.
        masks: the mask files of each annotated sample, by id; of several the union counts.
        annotated: the kinds of defects that have masks.
        labels: how each folder was read, on one line.
        passed_over: what lies there and was not read.
        ignore: the file that marks the pixels to ignore; None for none.
    """

    split: Split
    images: dict[str, Path]
    masks: dict[str, tuple[Path, ...]]
    annotated: frozenset[str]
    labels: str
    passed_over: tuple[PassedOver, ...]
    ignore: Path | None = None


def scan_category(category: str, folder: Path, root: Path, normal: Sequence[str] = ()) -> Scan:
    """Find the files of one category.

    Args:
        category: what it is called.
        folder: where it lies.
        root: links that lead out of it are passed over.
        normal: names of folders whose images are normal, besides ``good``: then no other name means that.

    Raises:
        DataError: no normal training image, no test image, a folder whose name may mean normal or defective, a mask
            without an image, two files for one thing, or a folder that cannot be read.
    """
    return _Scanner(root, category, folder, frozenset(map(same, normal))).scan()


@dataclass
class _Scanner:
    """Finds the files of one category."""

    root: Path
    category: str
    folder: Path
    normal: frozenset[str]
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    def scan(self) -> Scan:
        train, test = self._train(), self._test()
        annotated = self._pair(test)
        labels = f"train: {self._labels(train)}; test: {self._labels(test)}; {self._labels(test, anomalous=True)}"
        found = Split(train, test), self.images, self.masks, annotated, labels, self._passed_over()
        return Scan(*found, ignore=self._ignore())

    def _ignore(self) -> Path | None:
        """The file that marks the pixels to ignore.

        Raises:
            DataError: there are several.
        """
        found = [path for path in _entries(self.folder, self.root, Path.is_file) if path.name.lower() in IGNORE_FILES]
        if len(found) > 1:
            raise DataError(f"{printable(found[0])} and {found[1].name} both mark pixels to ignore; keep one of them")
        return found[0] if found else None

    def _train(self) -> tuple[Sample, ...]:
        """Normal images: those in the folders of ``train``, or else in ``train`` itself."""
        folder = part_folder(self.folder, "train", self.root)
        kinds = self._kinds(folder)
        for kind, files in kinds.items():
            if not self._is_normal(kind, kinds):
                raise DataError(self._odd_training(kind, files[0], kinds))
        if not kinds and folder is not None and (files := _images_in(folder, self.root)):
            kinds = {folder: files}
        samples = [sample for kind, files in kinds.items() for sample in self._samples("train", kind, files, GOOD)]
        if not samples:
            raise DataError(self._nothing("train", "training", (folder or self.folder / "train") / GOOD))
        return tuple(sorted(samples, key=lambda sample: sample.id))

    def _test(self) -> tuple[Sample, ...]:
        """Images to judge; their folder says what they show."""
        folder = part_folder(self.folder, "test", self.root)
        kinds = self._kinds(folder)
        samples: list[Sample] = []
        for kind, files in kinds.items():
            normal = self._is_normal(kind, kinds)
            if normal is None:
                raise DataError(self._unclear(kind, kinds))
            samples += self._samples("test", kind, files, GOOD if normal else spelt(kind.name))
        if not samples:
            raise DataError(self._nothing("test", "test", folder or self.folder / "test"))
        return tuple(sorted(samples, key=lambda sample: sample.id))

    def _kinds(self, folder: Path | None) -> dict[Path, list[Path]]:
        """The images of each folder in a folder that has any."""
        folders = () if folder is None else subfolders(folder, self.root)
        return {kind: files for kind in folders if (files := _images_in(kind, self.root))}

    def _is_normal(self, kind: Path, beside: Mapping[Path, object]) -> bool | None:
        """Whether a folder's images are normal: True, False, or None where its name may mean either."""
        if self.normal:
            return same(kind.name) in {GOOD, *self.normal}
        if is_zero(kind.name) and any(meaning(other.name) for other in beside):
            return False
        return meaning(kind.name)

    def _samples(self, part: str, kind: Path, files: Sequence[Path], defect: str) -> Iterator[Sample]:
        """The samples of one folder, their files noted."""
        stems = {path.stem: path for path in files}
        for path in files:
            owner = stems.get(masked_stem(path.stem) or "")
            if owner is not None:
                raise DataError(
                    f"{printable(path)} is called like the mask of {printable(owner.name)} and lies among the images;"
                    " move it into ground_truth, or rename it if it is an image"
                )
            within = [] if part_named(kind.name) == part and kind.parent == self.folder else [spelt(kind.name)]
            sample = Sample("/".join([self.category, part, *within, spelt(path.stem)]), defect)
            other = self.images.setdefault(sample.id, path)
            if other is not path:
                both = f"{printable(other)} and {printable(path.name)}"
                raise DataError(f"{both} have one name but for the suffix; rename one of them")
            yield sample

    def _pair(self, test: Sequence[Sample]) -> frozenset[str]:
        """Find the image of each mask; the kinds of defects that have masks."""
        truth = part_folder(self.folder, "ground_truth", self.root)
        if truth is None:
            return frozenset()
        images: dict[str, dict[str, str]] = {}
        for sample in test:
            if sample.anomalous:
                path = self.images[sample.id]
                images.setdefault(path.parent.name, {})[path.stem] = sample.id
        kinds = _Named({name: _Named(stems) for name, stems in images.items()})
        annotated = {self._pair_kind(folder, kinds) for folder in subfolders(truth, self.root)}
        annotated |= {self._pair_flat(path, kinds) for path in _images_in(truth, self.root, MASK_SUFFIXES)}
        return frozenset(annotated - {""})

    def _pair_kind(self, folder: Path, kinds: _Named[_Named[str]]) -> str:
        """Find the image of each mask in a folder; the kind of defect, empty where the folder is that of none."""
        images = kinds.find(folder.name, folder)
        if images is None and self._is_normal(folder, {}):
            return ""
        numbered: dict[str, list[Path]] = {}
        for path in _images_in(folder, self.root, MASK_SUFFIXES):
            owner = None if images is None else _owner(path, images)
            if owner is not None:
                self._note(owner, (path,))
            elif images is not None and (owner := images.exact.get(numbered_stem(path.stem) or "")):
                numbered.setdefault(owner, []).append(path)
            else:
                raise DataError(self._no_partner(path, images))
        for owner, paths in numbered.items():
            self._note(owner, tuple(paths))
        if images is None:
            return ""
        self._pair_inner(folder, images)
        return spelt(self.images[next(iter(images.exact.values()))].parent.name)

    def _pair_inner(self, folder: Path, images: _Named[str]) -> None:
        """MVTec LOCO's masks: a folder for each image."""
        for inner in subfolders(folder, self.root):
            owner = _owner(inner, images)
            if owner is not None and (paths := _images_in(inner, self.root, MASK_SUFFIXES)):
                self._note(owner, tuple(paths))

    def _pair_flat(self, path: Path, kinds: _Named[_Named[str]]) -> str:
        """Find the image of a mask that lies in ``ground_truth`` itself, if one image alone can be meant; its kind."""
        owners = {kind: owner for kind, images in kinds.exact.items() if (owner := _owner(path, images)) is not None}
        if len(owners) != 1:
            return ""
        ((kind, owner),) = owners.items()
        self._note(owner, (path,))
        return spelt(kind)

    def _note(self, owner: str, paths: tuple[Path, ...]) -> None:
        other = self.masks.setdefault(owner, paths)
        if other is not paths:
            names = f"{printable(other[0])} and {printable(paths[0].relative_to(self.folder))}"
            raise DataError(
                f"{names} are masks of one image; keep one of them in {printable(paths[0].parent.name)}, or put all of"
                f" them into a folder called {printable(self.images[owner].stem)}: then their union counts"
            )

    def _labels(self, samples: Sequence[Sample], *, anomalous: bool = False) -> str:
        """Such as ``good 10, ok 4 normal``, or ``crack 4 defective``."""
        counts: dict[str, int] = {}
        for sample in samples:
            if sample.anomalous == anomalous:
                name = printable(self.images[sample.id].parent.name)
                counts[name] = counts.get(name, 0) + 1
        message = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
        return f"{message} {'defective' if anomalous else 'normal'}"

    def _passed_over(self) -> tuple[PassedOver, ...]:
        read = {*self.images.values(), *(path for paths in self.masks.values() for path in paths)}
        read |= {ignore} if (ignore := self._ignore()) is not None else set()
        read |= {own for image in self.images.values() if (own := own_mask_file(image)) is not None}
        return tuple(leftovers(self.folder, self.root, read, lambda name: bool(self._is_normal(Path(name), {}))))

    def _nothing(self, part: str, what: str, where: Path) -> str:
        """There is no image of a part; what was passed over may be why."""
        message = f"category {self.category!r} has no {what} image: put normal images into {printable(where)}"
        depth = len(self.folder.relative_to(self.root).parts)
        left = [found for found in self._passed_over() if part_named(Path(found.file).parts[depth]) in {part, None}]
        if not left:
            return f"{message} ({', '.join(suffix[1:] for suffix in SUFFIXES)})"
        files = "1 file is" if len(left) == 1 else f"{len(left)} files are"
        return f"{message}; {files} passed over, such as {left[0].file}, which {left[0].why}"

    def _odd_training(self, kind: Path, file: Path, beside: Mapping[Path, object]) -> str:
        where = printable(self.folder / "test" / kind.name)
        return (
            f"{printable(file)}: training images are normal; move the folder to {where} if it shows defects,"
            f" or call it {GOOD} or say {self._settled(kind, beside)} if it does not"
        )

    def _unclear(self, kind: Path, beside: Mapping[Path, object]) -> str:
        return (
            f"{printable(kind)}: the name may mean normal or defective; call it {GOOD} or after its defect,"
            f" or say {self._settled(kind, beside)} if its images are normal ({self._settled(None, beside)} if not)"
        )

    def _settled(self, kind: Path | None, beside: Mapping[Path, object]) -> str:
        """The option that settles what a folder's name means."""
        names = sorted({other.name for other in beside if self._is_normal(other, beside)} | {GOOD})
        names += [] if kind is None else [kind.name]
        return f"--data folder:root=PATH,normal={'+'.join(map(printable, names))}"

    def _no_partner(self, mask: Path, images: _Named[str] | None) -> str:
        message = f"{printable(mask)}: a mask with no partner in {printable(self.folder / 'test' / mask.parent.name)}"
        if images is None:
            return f"{message}; call its folder like that of its image"
        stem = printable(next(iter(images.exact)))
        outside = printable(mask.parent.parent.name)
        return f"{message}; call it like its image ({stem}_mask for {stem}), or keep it outside of {outside}"


def is_category(folder: Path, root: Path) -> bool:
    """Whether a folder holds ``train`` or ``test``, whatever they are called."""
    return any(part_named(path.name) in {"train", "test"} for path in subfolders(folder, root))


def part_folder(folder: Path, part: str, root: Path) -> Path | None:
    """The folder of a category that is ``train``, ``test`` or ``ground_truth``; of several, the one spelt so.

    Raises:
        DataError: several could be meant.
    """
    found = [path for path in subfolders(folder, root) if part_named(path.name) == part]
    named = [path for path in found if path.name == part] or found
    if len(named) > 1:
        names = " and ".join(printable(path.name) for path in named)
        raise DataError(f"{printable(folder)} holds {names}; call the one that is to be read {part}")
    return named[0] if named else None


def subfolders(folder: Path, root: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones and links that lead out of the root.

    Raises:
        DataError: the folder cannot be listed.
    """
    return list(_entries(folder, root, Path.is_dir))


def _images_in(folder: Path, root: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    files = _entries(folder, root, Path.is_file)
    return [path for path in files if path.suffix.lower() in suffixes and not is_own_mask(path)]


def _entries(folder: Path, root: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise DataError(f"{printable(folder)} cannot be listed: {error.strerror}; make it readable") from None
    return (path for path in found if not is_hidden(path.name) and not leads_out(path, root) and wanted(path))


def _owner(mask: Path, images: _Named[str]) -> str | None:
    """The image that a mask or a folder of masks is called after."""
    stems = list(image_stems(mask.name if mask.is_dir() else mask.stem))
    exact = (images.exact[stem] for stem in stems if stem in images.exact)
    return next(exact, None) or next((found for stem in stems if (found := images.find(stem, mask))), None)


class _Named(Generic[T]):
    """Things by name, to be found under other spellings of it too."""

    def __init__(self, exact: dict[str, T]) -> None:
        self.exact = exact
        self._spellings: dict[str, list[str]] = {}
        for name in exact:
            self._spellings.setdefault(same(name), []).append(name)

    def find(self, name: str, path: Path) -> T | None:
        """What is called so, or else what alone is under another spelling.

        Raises:
            DataError: several are.
        """
        if name in self.exact:
            return self.exact[name]
        spellings = self._spellings.get(same(name), [])
        if len(spellings) > 1:
            names = " and ".join(map(printable, spellings))
            raise DataError(f"{printable(path)} may belong to {names}; call it exactly like the one that it belongs to")
        return self.exact[spellings[0]] if spellings else None
