"""Remarks about files that were read in an unusual way, one line for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from adbench.errors import printable

_DEPTHS = (8, 10, 12, 14)
"""Bits a channel of cameras whose images are kept in files of 16."""


@dataclass
class Remarks:
    """The remarks of one category, as far as its files have been read; thread-safe.

    Attributes:
        masks: by how masks had to be read, the files.
        peak: the highest number in images of 16 bits a channel; below 0 before one was read.
    """

    masks: dict[str, dict[Path, None]] = field(default_factory=dict)
    peak: int = -1
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_mask(self, path: Path, remark: str) -> None:
        """Note how a mask had to be read; an empty remark is none."""
        if remark:
            with self._lock:
                self.masks.setdefault(remark, {})[path] = None

    def add_peak(self, peak: int) -> None:
        """Note the highest number of an image."""
        with self._lock:
            self.peak = max(self.peak, peak)

    @property
    def wants_peaks(self) -> bool:
        """Whether a higher number could still be news."""
        return self.peak < 1 << _DEPTHS[-1]

    def sentences(self, category: str) -> Iterator[str]:
        """A sentence for each kind of remark, which names the category."""
        with self._lock:
            found = sorted((remark, next(iter(files)), len(files) - 1) for remark, files in self.masks.items())
        for remark, first, more in found:
            others = f" (and {more} more masks like it)" if more else ""
            yield f"{printable(category)}: the mask {printable(f'{first.parent.name}/{first.name}')} {remark}{others}"
        if self.peak >= 0:
            yield from self._about_white(category)

    def _about_white(self, category: str) -> Iterator[str]:
        for bits in _DEPTHS:
            if self.peak < 1 << bits:
                most = (1 << bits) - 1
                yield (
                    f"{printable(category)}: images have 16 bits, and no number above {most} was seen, which fits"
                    f" {bits}: if the camera has {bits} bits, all is {1 << 16 - bits} times too dark; say --data"
                    f" folder:root=...,white={most}"
                )
                return
