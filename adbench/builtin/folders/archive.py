"""What is known of an archive before it is downloaded; light, since every ``adbench list`` imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """A tar archive that a publisher offers.

    Attributes:
        title: what it is, for messages.
        url: where it lies; HTTPS.
        sha256: of its content.
        page: where people find it.
        licence: what may be done with it.
        variable: the environment variable that says where the unpacked folder is.
        largest: neither the archive nor its content may have more bytes.
        members: nor more files and folders.
    """

    title: str
    url: str
    sha256: str
    page: str
    licence: str
    variable: str
    largest: int = 16 << 30
    members: int = 100_000

    def by_hand(self, target: Path) -> str:
        """How to do without `download`."""
        return f"By hand: download it from {self.page}, unpack it into {target} or elsewhere and set {self.variable}"
