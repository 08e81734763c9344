"""Facts that a board takes from the installed adbench, and from no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from adbench import StorageError
from adbench.api.untrusted import open_plain
from adbench.engine.store.record import ResultRecord

Witness: TypeAlias = Callable[[Path, ResultRecord], str]
"""Says why a run's figures cannot be known to follow from raw scores; empty where they can."""

MAX_SCORES_BYTES = 16 << 20
"""Of raw scores for each test image, and as much again: a map of 2048 x 2048 patches has as many."""


def raw_scores_beside(folder: Path, record: ResultRecord) -> str:
    """Reason why a record's raw scores are not beside it with the sha256 that it names; empty if they are."""
    named = record.predictions
    if record.status != "ok":
        return ""
    if named is None:
        return "it names no raw scores"
    try:
        found = digest_of(folder / named.file, folder, MAX_SCORES_BYTES * (1 + max(0, record.task.test)))
    except StorageError as error:
        return f"its raw scores are not beside it: {error}"
    return "" if found == named.sha256 else f"{named.file} beside it is not the file that the record was made with"


def digest_of(path: Path, folder: Path, most: int) -> str:
    """The sha256 of a file that may be a stranger's.

    Raises:
        StorageError: it is not there, no file, behind a link out of the folder, or far too large.
    """
    import hashlib

    digest, left = hashlib.sha256(), most
    with open_plain(path, "a file of raw scores", folder) as file:
        try:
            while block := file.read(1 << 20):
                digest.update(block)
                left -= len(block)
                if left < 0:
                    raise StorageError(f"{path}: larger than {most >> 20} MiB; these are no raw scores")
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None
    return digest.hexdigest()


def _nothing_against(_: ResultRecord) -> str:
    return ""


def nobody_looks(_: ResultRecord) -> None:
    """A search for duplicates that finds nothing and reports none: None for each record."""
    return


@dataclass(frozen=True)
class Known:
    """Facts that no record can change.

    Attributes:
        versions: of the metrics that are installed.
        contradiction: why a record's regime is not what its components are given; empty where it is, and where the
            components are not installed.
        witness: looks at the raw scores of a run.
        duplicates: ids of the test images that a record's task also learns from; None where its data is not here.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    contradiction: Callable[[ResultRecord], str] = _nothing_against
    witness: Witness = raw_scores_beside
    duplicates: Callable[[ResultRecord], Sequence[str] | None] = nobody_looks
