"""The source of a published dataset; light, because every ``adbench list`` imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """The source of a published dataset.

    Attributes:
        title: its name in messages.
        page: its web page.
        licence: its licence, with the uses that it allows.
        variable: the environment variable with the path of the unpacked folder.
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
        url: its address; HTTPS.
        sha256: of its content.
        largest: the most bytes of the archive, and of its content.
        members: the most files and folders in it.
    """

    url: str
    sha256: str
    largest: int = 16 << 30
    members: int = 100_000
