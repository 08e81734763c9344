"""Scripts and styles of pages: files that the pages of one tree share, or texts for a page that stands alone.

A file's name holds the hash of its text, so a page never meets a script of another version: while a tree is being
rebuilt, pages that are still old find the old files, and pages that are new find the new ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FOLDER = "assets"
"""Below the leaderboards' folder."""
LIBRARIES = {"plot.min.js": "LICENSES"}
DRAWING_SCRIPTS = ("drawing", "pictures", "plots")
BOARD_SCRIPTS = (
    "dom",
    "data",
    *DRAWING_SCRIPTS,
    "overview",
    "address",
    "table",
    "told",
    "method",
    "compare",
    "page",
)
INDEX_SCRIPTS = ("dom", "theme")
_NAME = re.compile(r"(?:plot|board|index|page)-[0-9a-f]{8}\.(?:js|css)")


@dataclass(frozen=True)
class Asset:
    """A script or a style sheet.

    Attributes:
        stem: of its name, without the hash.
        suffix: `.js` or `.css`.
        text: what it holds.
    """

    stem: str
    suffix: str
    text: str

    @property
    def name(self) -> str:
        """The file's name, which changes with the text."""
        return f"{self.stem}-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}{self.suffix}"


def is_asset_name(name: str) -> bool:
    """Whether this or another version of adbench may have written a file of this name."""
    return _NAME.fullmatch(name) is not None


@cache
def plot_library() -> Asset:
    """What pages use of Observable Plot and d3, below the licences."""
    parts = (f"/*!\n{read('vendor', licence)}*/\n{read('vendor', name)}" for name, licence in LIBRARIES.items())
    return Asset("plot", ".js", "\n".join(parts))


@cache
def board_script() -> Asset:
    """All scripts of a board's page but the library."""
    return Asset("board", ".js", _closed(BOARD_SCRIPTS))


@cache
def index_script() -> Asset:
    """The script of every page: the colours that were chosen, before anything is drawn in others."""
    return Asset("index", ".js", _closed(INDEX_SCRIPTS))


@cache
def style_sheet() -> Asset:
    """The style sheet of all pages."""
    return Asset("page", ".css", read("assets", "page.css"))


def shared_assets() -> Sequence[Asset]:
    """All assets that the pages of a tree share."""
    return plot_library(), board_script(), index_script(), style_sheet()


@cache
def read(folder: str, name: str) -> str:
    """The text of a file of this package."""
    return (files("adbench.boards.page") / folder / name).read_text(encoding="utf-8")


def _closed(names: Sequence[str]) -> str:
    """Scripts in one, each in its own scope."""
    script = "\n".join(read("assets", f"{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{script}}})();\n'
