"""Strangers' texts made printable. One rule holds for messages, records, tables and terminals.

Names, file names and error texts may hold control characters, direction marks, or bytes that are no UTF-8. A terminal
might obey them, and a reader cannot see them: they are written as escapes.
"""

from __future__ import annotations

import unicodedata

MAX_LINE = 2000
"""Characters of one message."""


def printable(text: object) -> str:
    r"""A name on one line that any terminal and file takes.

    Control characters, which a terminal might obey, and bytes that are no UTF-8 become escapes (``\x1b``, ``\xe9``).
    """
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_escaped, whole))


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python keeps a byte of a file name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    category = unicodedata.category(char)
    return char.encode("unicode_escape").decode() if category[0] == "C" or category in {"Zl", "Zp"} else char


def one_line(text: str, most: int | None = MAX_LINE) -> str:
    """A text of many lines on one: printable, with one blank for each line break, tab or other white space.

    Args:
        text: such as an error's message.
        most: largest number of characters, at least 1; a longer line is cut and ends in "…". None for any number.
    """
    if most is None:
        return printable(" ".join(text.split()))
    line = one_line(text[: 4 * most], None)  # so that a text without end takes no time
    return line if len(line) <= most else line[: most - 1] + "…"
