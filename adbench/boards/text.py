"""Safe texts from untrusted texts: for a cell of a board, and for a file's name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from adbench.safe_text import one_line

MAX_TEXT = 200


def plain(text: str) -> str:
    """The text on one line, printable and of bounded length."""
    return one_line(text, MAX_TEXT)


def words(text: str) -> str:
    """The letters a to z and digits of a text, joined by '-', at most 40: safe in a file name, maybe empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")


def slug(text: str) -> str:
    """A safe file name for any text; what is no slug already gets a hash, so that two texts hardly share a name."""
    kept = words(text)
    return kept if kept and kept == text else "-".join(filter(None, [kept, hash8(text)]))


def hash8(text: str) -> str:
    """Eight hexadecimal digits that tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first few of many names, each as plain text, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(plain, names[:most])) + more
