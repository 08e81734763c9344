"""Writes masks for images that were annotated with another tool."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.annotations.shapes import AnnotatedImage
from adbench.datasets import read_size
from adbench.errors import DataError, StorageError, printable
from adbench.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

MOST_CLASSES = 127
"""Numbers in a mask below 128 are classes: see the rule for masks in docs/protocol.md."""


@dataclass
class Imported:
    """The result of an import.

    Attributes:
        masks: how many files.
        normal: images without any shape, which get no file.
        shapes: how many of each class.
        remarks: sentences about annotations that a person should check.
    """

    masks: int = 0
    normal: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)


def annotations_in(path: Path) -> Iterator[AnnotatedImage]:
    """The annotations of a folder of labelme's files, of COCO's file, or of Label Studio's, which is a list.

    Raises:
        DataError: they cannot be read.
    """
    from adbench.annotations.coco import read_coco
    from adbench.annotations.label_studio import read_label_studio
    from adbench.annotations.labelme import read_labelme

    if path.is_dir():
        return read_labelme(path)
    return read_label_studio(path) if _is_list(path) else read_coco(path)


def _is_list(path: Path) -> bool:
    """Whether a JSON file holds a list."""
    try:
        with path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def import_masks(path: Path, images: Path, out: Path, classes: Sequence[str] = ()) -> Imported:
    """Write ``<image>_mask.png`` for each annotated image: 0 is normal, each class has a number from 1.

    Args:
        path: a folder of labelme's files, COCO's file or Label Studio's.
        images: the folder of the images, which must be there and as large as the annotations say.
        out: the folder that masks go into, below it as the images lie below theirs; no mask may be there yet.
        classes: the classes that there may be, in the order of their numbers; none: all, by name.

    Raises:
        DataError: an annotation cannot be read, its image is missing or has another size, or a class is unknown.
        StorageError: a mask cannot be written, or is there already.
    """
    done = Imported()
    for annotation in annotations_in(path):  # all are drawn once before the first mask is written
        _target(annotation, images, out)
        _count(annotation, done)
    numbers = _numbers(sorted(done.shapes), classes)
    for annotation in annotations_in(path):
        if annotation.shapes:
            _write(_painted(annotation, numbers), _target(annotation, images, out))
            done.masks += 1
    return done


def _numbers(found: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """The number of each class."""
    unknown = [label for label in found if classes and label not in classes]
    if unknown:
        raise DataError(f"the class {printable(unknown[0])!r} is not among {', '.join(classes)}; add it or correct it")
    if len(classes or found) > MOST_CLASSES:
        raise DataError(f"there are {len(found)} classes, and masks hold {MOST_CLASSES}; merge some of them")
    return {label: number for number, label in enumerate(classes or found, 1)}


def _target(annotation: AnnotatedImage, images: Path, out: Path) -> Path:
    """The mask's file, if the image has the annotated size and no mask is there."""
    image = images / annotation.image
    target = out / f"{annotation.image.rpartition('.')[0] or annotation.image}_mask.png"
    size = read_size(image)
    if annotation.size is not None and size != annotation.size:
        raise DataError(
            f"{printable(image)}: has {size[0]} x {size[1]} pixels, and was annotated with {annotation.size[0]} x"
            f" {annotation.size[1]}; annotate the image itself"
        )
    if annotation.shapes and target.exists():
        raise StorageError(f"{target}: is there already; move it, or choose another folder")
    return target


def _count(annotation: AnnotatedImage, done: Imported) -> None:
    done.normal += not annotation.shapes
    done.shapes.update(shape.label for shape in annotation.shapes)
    for shape in annotation.shapes:
        if not shape.mask.any():
            done.remarks.append(f"{annotation.image}: a shape of the class {printable(shape.label)} marks no pixel")
        elif shape.clipped:
            done.remarks.append(
                f"{annotation.image}: a shape of the class {printable(shape.label)} is cut at the border"
            )


def _painted(annotation: AnnotatedImage, numbers: dict[str, int]) -> np.ndarray:
    """[H, W] uint8: the number of the class at each pixel; of several the last one drawn. There is a shape."""
    import numpy as np

    page = np.zeros(annotation.shapes[0].mask.shape, dtype=np.uint8)
    for shape in annotation.shapes:
        page[shape.mask] = numbers[shape.label]
    return page


def _write(page: np.ndarray, target: Path) -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(page).save(file, format="PNG")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, file.getvalue())
    except OSError as error:
        raise StorageError(f"{target}: {error.strerror or error}; choose another folder with --out") from None
