"""A detector that has learned, kept where there is room if its own place has none: a fit may have taken hours."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.detector.detector import Detector


def save_or_keep(detector: Detector, path: Path, *, bundle: bool = False) -> Path:
    """Write a detector's file, or keep the detector elsewhere and say where.

    Args:
        detector: has learned.
        path: of the file.
        bundle: put files that options name into it.

    Returns:
        The path.

    Raises:
        StorageError: disk full or read-only; the message names the file that keeps the detector, if any place has room.
        UsageError: a part cannot keep what it learned.
    """
    try:
        return detector.save(path, bundle=bundle)
    except StorageError as error:
        kept = _kept(detector, path.name, bundle=bundle)
        if kept is None:
            raise StorageError(f"{error}; no other place has room for what was learned, so that it is lost") from None
        reason = getattr(error.__context__, "strerror", None) or str(error)
        raise StorageError(
            f"cannot write to {path}: {reason}; what was learned is whole in {kept}: use it there, or move it when"
            " there is room"
        ) from None


def _kept(detector: Detector, name: str, *, bundle: bool) -> Path | None:
    """The file of the detector in the first other place with room: for temporary files, at home, or here."""
    for parent in (Path(tempfile.gettempdir()), Path.home(), Path.cwd()):
        try:
            folder = Path(tempfile.mkdtemp(prefix="adbench-kept-", dir=parent))
        except OSError:
            continue
        try:
            return detector.save(folder / name, bundle=bundle)
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
    return None
