"""Facts that a board takes from the installed adbench, and from no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from adbench import StorageError
from adbench.api.untrusted import open_plain
from adbench.engine.store.record import ResultRecord

ScoresCheck: TypeAlias = Callable[[Path, ResultRecord], str]
"""Gives the reason why a run's figures are not confirmed by raw scores; empty where they are."""

MAX_SCORES_BYTES = 16 << 20
"""Bytes of raw scores for each test image, and as many once more; a map of 2048 x 2048 patches has that many."""


def raw_scores_fault(folder: Path, record: ResultRecord) -> str:
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
    """The sha256 of a file from an untrusted source.

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


def _no_contradiction(_: ResultRecord) -> str:
    return ""


def no_duplicates_search(_: ResultRecord) -> None:
    """The result of a search for duplicates that was not made: None for each record."""
    return


@dataclass(frozen=True)
class BoardFacts:
    """Facts that no record can change.

    Attributes:
        versions: of the metrics that are installed.
        contradiction: the reason why a record's regime does not follow from its components; empty where it does, or the
            components are not installed.
        check_scores: checks the raw scores of a run.
        duplicates: ids of the test images that a record's task also learns from; None where its data is not here.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    contradiction: Callable[[ResultRecord], str] = _no_contradiction
    check_scores: ScoresCheck = raw_scores_fault
    duplicates: Callable[[ResultRecord], Sequence[str] | None] = no_duplicates_search
