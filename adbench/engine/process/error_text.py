"""Messages and tracebacks of plugins' errors, bounded and printable, for records and terminals."""

from __future__ import annotations

import traceback

from adbench.engine.process.interrupts import is_stop
from adbench.safe_text import one_line, printable

MOST = 1000
"""Characters of an error's message."""
MOST_OF_A_REASON = 1500
"""Characters of a record's reason, which says whose error it was besides."""
MOST_OF_A_TRACE = 1 << 16


def bounded(text: str, most: int = MOST) -> str:
    """A text on one line, printable; a text of more than `most` characters is cut, and its length follows."""
    line = one_line(text, most)
    return line if len(text) <= most else f"{line.removesuffix('…')} ... ({len(text):,} characters)"


def text_of(error: BaseException) -> str:
    """The message of an error, of any length, even if reading it raises."""
    try:
        return str(error)
    except BaseException as inner:
        if is_stop(inner):
            raise
        return f"(its message cannot be read: that raises {type(inner).__name__})"


def words_of(error: BaseException) -> str:
    """The message of an error, bounded and printable."""
    return bounded(text_of(error))


def named(error: BaseException) -> str:
    """The type and the message of an error, as in ``ValueError: no``."""
    return f"{bounded(type(error).__name__, 100)}: {words_of(error)}".removesuffix(": ")


def trace_of(error: BaseException | None) -> str:
    """The traceback of an error, bounded and free of what a terminal would act on; empty for none."""
    if error is None:
        return ""
    text = "".join(traceback.format_exception(error))
    if len(text) > MOST_OF_A_TRACE:
        half = MOST_OF_A_TRACE // 2
        text = f"{text[:half]}\n... ({len(text):,} characters) ...\n{text[-half:]}"
    return "\n".join(printable(line.replace("\t", " ")) for line in text.split("\n"))
