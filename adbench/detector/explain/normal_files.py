"""The files of normal images: looked for where they may lie, and taken only if their content was learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from adbench.api.component import sha256_of
from adbench.datasets import FileDataset
from adbench.detector.fit.state import LearnedImage
from adbench.engine.plan.data_origin import read_origin
from adbench.engine.plan.recipe import Part
from adbench.errors import AdbenchError, printable
from adbench.registration.registry import installed

_GIVE = "give its folder with --normal DIR"
MOST_BYTES = 1 << 30
"""Of a file that is looked into; a detector from a stranger may name any file below a folder."""


@dataclass(frozen=True)
class NormalFiles:
    """Finds the files of the images that a detector learned from.

    Attributes:
        given: folders of normal images that a user names.
        known: files by alias, of a detector that was fitted in this process.
        home: the folder of the detector's file; where that is a run's, the folder of its dataset is looked into, too.
    """

    given: Sequence[Path] = ()
    known: Mapping[str, Path] = field(default_factory=dict)
    home: Path | None = None

    def find(self, image: LearnedImage) -> Path | str:
        """The file of an image, or why there is none, as a sentence."""
        there = [path for path in self._places(image) if _is_small_file(path)]
        wanted = image.content or image.sha256
        for path in there:
            with suppress(AdbenchError):
                if sha256_of(path) == wanted:
                    return path
        if there:
            return (
                f"{printable(there[0])} is not the normal image {printable(image.name)!r} that the detector learned"
                " from: its content is another"
            )
        if image.path is None:
            return f"the detector does not say where its normal image {printable(image.name)!r} lies; {_GIVE}"
        return f"the normal image {printable(image.path)!r} is not found; {_GIVE}"

    def _places(self, image: LearnedImage) -> Iterator[Path]:
        """Where the file may be, the most likely place first."""
        if image.alias in self.known:
            yield self.known[image.alias]
        for folder in self.given:
            if image.path is not None:
                yield folder / image.path
            yield folder / Path(image.name).name
        if image.path is not None and self.home is not None:
            yield self.home / image.path
            root = folder_of_dataset(self.home)
            if root is not None:
                yield root / image.path


@lru_cache(maxsize=8)
def folder_of_dataset(run: Path) -> Path | None:
    """The folder of a run's dataset, by the file of origin beside its record; None where nothing says it."""
    origin = read_origin(run)
    if origin is None:
        return None
    with suppress(AdbenchError, OSError, ValueError):
        dataset = Part(name=origin.dataset, options=origin.options).make("dataset", installed())
        if isinstance(dataset, FileDataset):
            return dataset.root
    return None


def _is_small_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MOST_BYTES
    except (OSError, ValueError):
        return False
