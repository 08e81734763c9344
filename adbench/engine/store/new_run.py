"""Folders of new runs, which appear whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adbench.engine.process.location import is_here
from adbench.engine.process.scratch import Scratch
from adbench.engine.store.record import RECORD_FILE, storage_errors


@contextmanager
def new_run(root: Path, name: str) -> Iterator[Path]:
    """A folder that appears as ``root/name`` whole, when the block ends well, or not at all.

    Raises:
        StorageError: `root` cannot be written.
    """
    here = is_here(root)
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        scratch = Scratch(".draft-", root) if here else Scratch()
    with scratch as folder:
        with storage_errors(root):
            (folder / "run").mkdir()
        yield folder / "run"
        with storage_errors(root):
            (_publish if here else _upload)(folder / "run", root / name)


def _publish(draft: Path, final: Path) -> None:
    """Rename into place; an older run of the same id gives way, also one that another process put there just now."""
    draft.chmod(0o755)
    while True:
        try:
            draft.rename(final)
        except OSError:
            if not final.is_dir():
                raise
        else:
            return
        with suppress(FileNotFoundError):  # another process was quicker
            final.rename(draft.parent / "old")
        shutil.rmtree(draft.parent / "old", ignore_errors=True)


def _upload(draft: Path, final: Path) -> None:
    """Copy to a place that cannot rename folders: the record comes last, and without it there is no run."""
    final.mkdir(parents=True, exist_ok=True)
    (final / RECORD_FILE).unlink(missing_ok=True)
    for file in sorted(draft.iterdir(), key=lambda file: (file.name == RECORD_FILE, file.name)):
        (final / file.name).write_bytes(file.read_bytes())
