"""Reads mask files by one rule, whatever tool wrote them; `docs/protocol.md` has it in words, with its reasons.

1. A file may be read in up to three ways: as what a viewer shows, by its alpha, and by the numbers that it stores (the
   indexes of a palette, the bits of a WhiteIsZero TIFF). The first that tells a defect from what is normal counts.
2. The lowest number is normal: 0, wherever the mask has any.
3. Numbers that all lie below 128 are classes: whatever is not normal is marked. So are those that lie in areas, or that
   count on without a gap.
4. All else is a picture, with soft edges or the ringing of a JPEG: marked is what is at least half as bright as the
   brightest.
5. What marks more than half of the image and more than half of its border is inverted, and refused, unless somebody
   has given the option whether light or dark marks a defect. So is a picture that is mostly gray.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from adbench import BadImage
from adbench.builtin.images.decoders import (
    FORMATS,
    by_pillow,
    content_of,
    may_be_turned,
    opened,
    orientation_of,
    png_pixels,
)
from adbench.builtin.images.raster import Raster, bad_image, upright

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Marks: TypeAlias = Literal["auto", "light", "dark"]
"""The options for the numbers that mark a defect."""

CLASSES = 128
"""Numbers below it are classes. A picture of a mask has brighter pixels: half of white is 128."""
AREA = 2.5
"""Of the four neighbours of a pixel in an area more than so many are equal to it, on average: 2.7 in a square of 9, but
2 along a soft edge. Measured: of what JPEG at qualities of 10 to 98 leaves around shapes, no more than 2.3."""
GRAY = 0.2
"""A picture with more of its pixels between one and seven eighths of the brightest, and with more of them than of
brighter ones, is a photograph. Where alpha has a shape, any number of them says that the colours are one."""
_REPAIR = "repair it"
_FAINT = 64
"""The brightest number of a JPEG that shows anything: below it, drawing and ringing look alike."""


class MaskFile(NamedTuple):
    """The marked pixels of a mask file.

    Attributes:
        marked: [H, W] bool.
        remark: how it had to be read, where that is not plain; else empty.
    """

    marked: np.ndarray
    remark: str = ""


class _Problem(NamedTuple):
    """A problem of a mask file, and its remedy; the remedy is never to delete an annotation."""

    fault: str
    advice: str


class _Reading(NamedTuple):
    """One reading of a file.

    Attributes:
        plane: [H, W] numbers; the lowest is normal.
        name: of the reading, after "is read by"; empty for the plain one.
        lossy: numbers are only about what was drawn.
    """

    plane: np.ndarray
    name: str = ""
    lossy: bool = False


def read_mask(path: Path, size: tuple[int, int], marks: Marks = "auto") -> np.ndarray:
    """The marked pixels of a mask file; see `read_mask_file`.

    Returns:
        [H, W] bool.
    """
    return read_mask_file(path, size, marks).marked


def read_mask_file(path: Path, size: tuple[int, int], marks: Marks = "auto") -> MaskFile:
    """The marked pixels of a mask file, and how they were found.

    Args:
        path: an image file of any kind that `read_image` reads, or a GIF.
        size: height and width of the image that the mask belongs to.
        marks: whether light or dark marks a defect, where somebody knows; else what marks most of the image is refused.

    Raises:
        BadImage: the file cannot be read, has another size than its image, is inverted, or is a photograph.
    """
    try:
        with bad_image(path):
            raster = _raster(path)
    except BadImage as error:
        raise BadImage(path, error.problem, advice=_REPAIR) from None
    height, width = raster.numbers.shape[:2]
    if (height, width) != size:
        raise BadImage(
            path,
            f"the mask has {height}x{width} pixels, its image has {size[0]}x{size[1]}, and nothing says whether it was"
            " shrunk or cut",
            advice=_REPAIR,
        )
    return _chosen(path, list(_ways(path, raster, marks)), marks)


def _raster(path: Path) -> Raster:
    """The stored content of a file."""
    from adbench.builtin.images.tiff import NotForUs, is_tiff, read_tiff

    if is_tiff(path):
        try:
            return read_tiff(path)
        except NotForUs:
            return Raster(by_pillow(path), 255)
    with opened(path, formats=(*FORMATS, "GIF")) as image:
        if image.format == "PNG" and image.mode != "P":
            content = content_of(image)
            raster = _of_png(content)
            turned = orientation_of(image) if may_be_turned(content) else 1
        else:
            image.load()
            raster, turned = _of_pillow(image, lossy=_is_lossy(path, image)), orientation_of(image)
    alpha = raster.alpha
    return raster._replace(
        numbers=upright(raster.numbers, turned), alpha=None if alpha is None else upright(alpha, turned)
    )


def _of_png(content: bytes) -> Raster:
    import numpy as np

    pixels, bits = png_pixels(content), content[24]
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    channels = pixels.shape[2]
    alpha = pixels[:, :, -1] if channels in {2, 4} else None
    numbers = pixels[:, :, 0] if channels < 3 else pixels[:, :, :3]
    if bits < 8:  # the decoder stretches them to 255
        numbers = numbers // np.uint8(255 // ((1 << bits) - 1))
    return Raster(numbers, float((1 << bits) - 1), alpha=alpha)


def _of_pillow(image: Image.Image, *, lossy: bool) -> Raster:
    """A file of at most 8 bits a channel."""
    import numpy as np

    if image.mode == "P":
        colours = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)
        return Raster(np.array(image), 255, palette=colours)
    if image.mode.startswith("I"):  # PGM, whose numbers Pillow brings to 16 bits
        return Raster(np.array(image), 65535)
    if image.mode == "1":
        return Raster(np.array(image).view(np.uint8), 1)
    if image.mode == "L":
        return Raster(np.array(image), 255, lossy=lossy)
    alpha = np.array(image.getchannel("A")) if "A" in image.getbands() else None
    return Raster(np.array(image.convert("RGB")), 255, alpha=alpha, lossy=lossy)


def _is_lossy(path: Path, image: Image.Image) -> bool:
    """Whether a WebP is lossy; a lossless one has a mark at its start."""
    if image.format != "WEBP":
        return image.format == "JPEG"
    with path.open("rb") as file:
        return b"VP8L" not in file.read(1 << 12)


def _ways(path: Path, raster: Raster, marks: Marks) -> Iterator[_Reading]:
    """The ways to read a file, the plain one first."""
    numbers = raster.numbers
    shown = numbers if raster.palette is None else raster.palette[numbers.clip(max=len(raster.palette) - 1)]
    _check_numbers(path, shown)
    bright = _darkness(shown, raster) if (marks == "dark") != raster.inverted else _brightness(shown)
    yield _Reading(bright, lossy=raster.lossy)
    if raster.alpha is not None and raster.alpha.min() < raster.alpha.max():
        yield _Reading(raster.alpha, "its alpha")
    if marks != "dark" and raster.palette is not None:
        yield _Reading(numbers, "the numbers of its palette")
    elif marks != "dark" and raster.inverted:
        yield _Reading(numbers, "its numbers, of which 0 is shown as white")


def _check_numbers(path: Path, numbers: np.ndarray) -> None:
    if numbers.dtype.kind != "u" and not (numbers.min() >= 0 and numbers.max() < float("inf")):
        fault = "holds numbers that are negative or not finite, and does not say which are normal"
        raise BadImage(path, fault, advice=_REPAIR)


def _brightness(shown: np.ndarray) -> np.ndarray:
    """[H, W] the highest of the colours."""
    brightest: np.ndarray = shown if shown.ndim == 2 else shown.max(axis=2)
    return brightest


def _darkness(shown: np.ndarray, raster: Raster) -> np.ndarray:
    """[H, W] by how much the darkest of the colours is below white: what the bits can hold, or the highest number."""
    darkest = shown if shown.ndim == 2 else shown.min(axis=2)
    dark: np.ndarray = (shown.max() if raster.white is None else darkest.dtype.type(raster.white)) - darkest
    return dark


def _chosen(path: Path, ways: list[_Reading], marks: Marks) -> MaskFile:
    """The mask by the first reading that separates defective from normal pixels.

    Raises:
        BadImage: no reading separates them, and one of the readings may hold an annotation.
    """
    import numpy as np

    telling = [reading for reading in ways if reading.plane.min() < reading.plane.max()]
    problems = []
    for reading in telling:
        found = _marked(reading, most=GRAY if len(ways) == 1 else 0)
        if isinstance(found, MaskFile) and not _inverted(found.marked, marks):
            return found
        problems.append(found if isinstance(found, _Problem) else _inversion(found.marked))
    if problems:
        raise BadImage(path, *problems[0])
    everything = all(reading.plane.all() for reading in ways)
    plane = np.full(ways[0].plane.shape, everything)
    return MaskFile(plane, "marks the whole image" if everything else "")


def _inverted(marked: np.ndarray, marks: Marks) -> bool:
    """Whether a mask looks inverted, and no option says that it is not."""
    import numpy as np

    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    return bool(marks == "auto" and marked.mean() > 0.5 and border.mean() > 0.5)


def _inversion(marked: np.ndarray) -> _Problem:
    return _Problem(
        f"the mask marks {marked.mean():.0%} of the image and most of its border, as one does that is inverted",
        "say what marks a defect with the option 'marks' of the dataset, light or dark (folder:root=...,marks=dark)",
    )


def _marked(reading: _Reading, most: float) -> MaskFile | _Problem:
    """The mask by one reading, or the reason why it separates nothing."""
    plane = reading.plane
    lowest, highest = plane.min(), plane.max()
    remarks = [f"is read by {reading.name}"] if reading.name else []
    remarks += [f"has no 0: its lowest number, {lowest}, is normal"] if lowest > 0 and not reading.lossy else []
    middle = _middle(plane, reading.lossy)
    bright = plane >= middle
    between = (plane > lowest) & ~bright
    if not between.any():
        return MaskFile(bright, "; ".join(remarks))
    if not reading.lossy and _classes(plane, between):
        return MaskFile(bright | between, "; ".join(remarks))
    if reading.lossy and highest < _FAINT:
        return _Problem(
            f"the mask is a lossy file without white, whose highest number is {highest}",
            "save it as PNG from where it was drawn",
        )
    if _photograph(plane, most):
        return _Problem("is a photograph and no mask: most of what it shows is gray", "put the mask in its place")
    what = "is a lossy file" if reading.lossy else "has soft edges"
    return MaskFile(
        bright, "; ".join([*remarks, f"{what}: what is at least half as bright as the brightest is marked"])
    )


def _middle(plane: np.ndarray, lossy: bool) -> float:
    """The brightness from which on a picture is marked."""
    lowest = 0.0 if lossy else float(plane.min())
    return (lowest + float(plane.max())) / 2


def _classes(plane: np.ndarray, between: np.ndarray) -> bool:
    """Whether numbers stand for classes or for objects: all are low, or they count on without a gap beyond a byte, or
    the middle ones lie in areas, where most neighbours are equal. In soft edges and in ringing they are not.
    """
    import numpy as np

    highest = int(plane.max())
    if plane.dtype.kind == "f" and not (plane == np.rint(plane)).all():
        return False
    if highest < CLASSES or (255 < highest < plane.size and len(np.unique(plane)) == highest + 1):
        return True
    down, across = plane[1:] == plane[:-1], plane[:, 1:] == plane[:, :-1]
    equal = 2 * (np.count_nonzero(down & between[1:]) + np.count_nonzero(across & between[:, 1:]))
    return bool(equal > AREA * np.count_nonzero(between))


def _photograph(plane: np.ndarray, most: float) -> bool:
    """Whether gray is most of what a picture shows, and more than so much of all."""
    eighth = float(plane.max()) / 8
    bright = plane > 7 * eighth
    gray = (plane > eighth) & ~bright
    return bool(gray.sum() > bright.sum() and gray.mean() > most)
