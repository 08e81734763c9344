"""The archive of a submission, the same bytes for the same maps."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import StorageError
from adbench_data.submission.files import MAPS, MASKS, Place

if TYPE_CHECKING:
    import numpy as np


class Package:
    """A package that is being written.

    Args:
        archive: takes the files.
    """

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, place: Place, half: np.ndarray, mask: np.ndarray) -> None:
        """Add the files of an image.

        Args:
            place: of the image.
            half: [H, W] float16, its map.
            mask: [H, W] bool, its marked pixels.
        """
        self._put(place.file(MAPS), tiff_of(half))
        self._put(place.file(MASKS), png_of(mask))

    def _put(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        self._archive.addfile(entry, io.BytesIO(content))


@contextmanager
def new_package(path: Path) -> Iterator[Package]:
    """A package that appears as a file when the block ends well, or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with (
            draft.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            yield Package(archive)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; choose another file with --out") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def tiff_of(half: np.ndarray) -> bytes:
    """A map as an uncompressed TIFF of one channel."""
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, half, photometric="minisblack", metadata=None, software=False)
    return file.getvalue()


def png_of(mask: np.ndarray) -> bytes:
    """A mask as a PNG of 0 and 255."""
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(file, "PNG")
    return file.getvalue()
