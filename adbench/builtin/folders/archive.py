"""The source of a published dataset; light, because every ``adbench list`` imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """The source of a published dataset.

    Attributes:
        title: what it is, for messages.
        page: where people find it.
        licence: what may be done with it.
        variable: the environment variable that says where the unpacked folder is.
        size: about how many bytes are downloaded; 0 where it is unknown.
        images: how many images it has; 0 where it is unknown.
        paper: the publication to cite.
        advice: how to get it where neither page nor archive is all that one needs: a package, an application form.
    """

    title: str
    page: str
    licence: str
    variable: str = "ADBENCH_DATA"
    size: int = 0
    images: int = 0
    paper: str = ""
    advice: str = ""

    def by_hand(self, target: Path) -> str:
        """Instructions for a download by hand."""
        return self.advice or (
            f"By hand: download it from {self.page}, unpack it into {target} or elsewhere and set {self.variable}"
        )


@dataclass(frozen=True, kw_only=True)
class Archive(DataSource):
    """A tar archive that a publisher offers.

    Attributes:
        url: where it lies; HTTPS.
        sha256: of its content.
        largest: neither the archive nor its content may have more bytes.
        members: nor more files and folders.
    """

    url: str
    sha256: str
    largest: int = 16 << 30
    members: int = 100_000
