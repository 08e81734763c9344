"""The export of a detector: it is recorded, written, compared with the detector, and only then moved to its path."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, get_args

import numpy as np
import torch

from adbench.detector.export.facts import facts_in
from adbench.detector.export.formats import SUFFIXES, Format, Recording, Score, opened, recorded, require, write
from adbench.detector.export.graph import Frame, ScoringGraph
from adbench.detector.export.ignored import IgnoredPixels
from adbench.detector.export.parts import recordable
from adbench.detector.export.proof import Comparer, ExportReport, report_of, require_equal
from adbench.detector.export.synthetic import synthetic_images
from adbench.detector.fit.images import GivenDataset
from adbench.errors import StorageError, UnknownName, UsageError

if TYPE_CHECKING:
    from adbench.datasets import IgnoreMask
    from adbench.detector.fit.images import GivenImage
    from adbench.detector.fit.state import About, DetectorState
    from adbench.detector.prediction import Prediction


class Fitted(Protocol):
    """The parts of a detector that an export uses."""

    @property
    def fitted(self) -> DetectorState:
        """The fitted method, with its facts."""

    def predict(self, images: np.ndarray, /) -> Prediction:
        """Its prediction of an image [H, W, 3]."""


class Exported(NamedTuple):
    """A finished export.

    Attributes:
        path: of the file.
        frame: the images that it takes.
        report: of the comparison with the detector.
    """

    path: Path
    frame: Frame
    report: ExportReport


def export_detector(
    detector: Fitted,
    path: Path,
    form: Format,
    images: Iterable[GivenImage],
    *,
    size: tuple[int, int] | None = None,
    batch: int = 1,
) -> Exported:
    """Write a detector as one file for other programs, and prove that the file gives the same scores.

    Args:
        detector: that has learned, on the CPU.
        path: of the file; what is there is replaced when the new one is proven.
        form: the format.
        images: normal ones to compare scores on; those that the detector learned from, and those of
            another size than the file takes, are left out and counted.
        size: height and width of the images that the file takes; None for the size that the detector learned from.
        batch: images a call.

    Raises:
        UnknownName: there is no such format.
        UsageError: the method cannot be exported, the size is not known, packages are missing, or scores differ.
        BadImage: one of the images cannot be read.
        StorageError: the file cannot be written.
    """
    if form not in get_args(Format):
        raise UnknownName("format", form, get_args(Format))
    require(form)
    if path.suffix != SUFFIXES[form]:
        raise UsageError(f"a file of the format {form} ends in {SUFFIXES[form]}; rename {path.name}")
    state = detector.fitted
    frame = frame_of(state, size, batch)
    half, ignored = state.recipe.features == "float16", _ignored(state.about.ignore, frame)
    with _beside(path) as folder:  # first: recording may take minutes
        graph = ScoringGraph(recordable(state.method), frame, half=half, ignored=ignored)
        recording = recorded(graph, frame.blank(), 2 if graph.has_map else 1)
        return _Writer(detector, recording, frame, form).proven(path, folder, images)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder beside a file in the making; it is gone afterwards.

    Raises:
        StorageError: the file cannot be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        folder = tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent)
    except OSError as error:
        raise _unwritten(path, error) from None
    with folder as name:
        yield Path(name)


def _unwritten(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written: {error.strerror or error}; give --out another place")


def _ignored(mask: IgnoreMask | None, frame: Frame) -> IgnoredPixels | None:
    """The pixels that nobody looks at, as constants of the file.

    Raises:
        UsageError: the file takes images of another size than the ignore mask.
    """
    if mask is None:
        return None
    height, width = mask.pixels.shape
    if (height, width) != (frame.height, frame.width):
        raise UsageError(
            f"the detector's ignore mask is for images of {height}x{width} pixels, and the file would take"
            f" {frame.height}x{frame.width}; export it with --size {height}x{width}"
        )
    return IgnoredPixels(torch.from_numpy(mask.pixels))


def frame_of(state: DetectorState, size: tuple[int, int] | None, batch: int) -> Frame:
    """The images that the file takes.

    Raises:
        UsageError: no size is given, and the detector learned from images of several sizes, or of none.
    """
    learned = state.about.learned
    deep = learned is not None and learned.deep == (True,)
    if size is not None:
        return Frame(*size, batch, deep)
    if learned is None or len({*learned.heights}) > 1 or len({*learned.widths}) > 1:
        raise UsageError(
            "an exported file takes images of one size, and the detector learned from several; name one with --size"
            " HEIGHTxWIDTH"
        )
    return Frame(learned.heights[0], learned.widths[0], batch, deep)


class _Writer:
    """Writes a recording beside its place, compares it, and moves it there."""

    def __init__(self, detector: Fitted, recording: Recording, frame: Frame, form: Format) -> None:
        self._detector, self._recording, self._frame, self._form = detector, recording, frame, form

    def proven(self, path: Path, folder: Path, images: Iterable[GivenImage]) -> Exported:
        """Write into the folder, compare, and move all files to their place."""
        try:
            temporary = folder / path.name
            self._write(temporary, None)
            report = self._report(temporary, images)
            self._write(temporary, report)
            for written in sorted(folder.iterdir()):
                os.replace(written, path.parent / written.name)  # noqa: PTH105  as everywhere
        except OSError as error:
            raise _unwritten(path, error) from None
        return Exported(path, self._frame, report)

    def _write(self, path: Path, report: ExportReport | None) -> None:
        facts = facts_in(self._detector.fitted, self._frame, report, has_map=self._recording.outputs > 1)
        write(self._recording, self._form, path, facts)

    def _opened(self, temporary: Path) -> Score:
        try:
            return opened(self._form, temporary)
        except Exception as error:  # noqa: BLE001 - the runtimes' errors have no common base
            first = (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
            raise UsageError(
                f"the exported {self._form} is not written, because its runtime cannot open it ({first}); report this"
                " with the recipe's name"
            ) from None

    def _report(self, temporary: Path, images: Iterable[GivenImage]) -> ExportReport:
        score, chosen = self._opened(temporary), _Chosen(images, self._frame, self._detector.fitted.about)
        comparer = Comparer(self._answer, score, self._frame.batch)
        given = comparer.compared(chosen)
        made = comparer.compared(synthetic_images(self._frame).items())
        require_equal([*given, *made], self._form)
        runtime = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}[self._form]
        return report_of(given, made, chosen.left_out, runtime)

    def _answer(self, image: np.ndarray) -> tuple[float, np.ndarray | None]:
        prediction = self._detector.predict(image)
        return prediction.score, prediction.map


class _Chosen:
    """Images of the size and type that the file takes, with their names; the others are counted.

    Images that the detector learned from are among the others. The bank knows them, so that their distances are no more
    than rounding, of which no two programs make the same.
    """

    def __init__(self, images: Iterable[GivenImage], frame: Frame, about: About) -> None:
        self._images, self._frame, self._about = images, frame, about
        self._known = {image.sha256 for image in about.images}
        self.left_out = 0

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for image in self._images:
            pixels = image.pixels(self._about.white)
            if self._fits(pixels) and not self._is_known(image):
                yield image.name, pixels
            else:
                self.left_out += 1

    def _fits(self, pixels: np.ndarray) -> bool:
        same = pixels.shape[:2] == (self._frame.height, self._frame.width)
        return same and (pixels.dtype != np.uint8) == self._frame.deep

    def _is_known(self, image: GivenImage) -> bool:
        given = GivenDataset([image], self._about.white, self._about.ignore)
        return given.digest(given.samples[0]) in self._known
