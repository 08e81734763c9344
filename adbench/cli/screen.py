"""Output to terminals, fitted to their width, and to pipes as plain text; no untrusted text controls a terminal.

Records, file names and error texts may hold escape sequences, line breaks, direction marks, rich's markup or
surrogates. All modules of `adbench.cli` print through this one.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TextIO

import click

from adbench.safe_text import MAX_LINE, printable

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.text import Text

USUAL_WIDTH = 80


def visible(text: object, most: int = MAX_LINE) -> str:
    """A text without control characters: they are written as escapes.

    Args:
        text: any value.
        most: largest number of characters; a longer text is cut in the middle.
    """
    shown = str(text)
    if len(shown) > most:
        shown = f"{shown[: most - most // 4]} … {shown[-(most // 4) :]}"
    return printable(shown)


def echo(*lines: object, err: bool = False, fold: bool = True, hang: int | None = None, **style: Any) -> None:
    """Print texts, each on one line; a terminal breaks it between words, never inside one.

    Args:
        lines: any values.
        err: print on standard error.
        fold: break long texts on a terminal.
        hang: cells before the second and each further line of a text; by default two more than before its first.
        style: click's styles, which only a terminal shows.
    """
    stream = sys.stderr if err else sys.stdout
    width = shutil.get_terminal_size().columns if fold and stream.isatty() else None
    for line in lines:
        for text in broken(visible(line, 10 * MAX_LINE), width, hang):
            click.echo(click.style(text, **style) if style else text, err=err)


def echo_csv(text: str) -> None:
    """Print a CSV table as it is, but for control characters, which are written as escapes; nothing is cut."""
    click.echo("\n".join(map(printable, text.split("\n"))), nl=False)


def echo_json(value: Any, indent: int | None = None, file: TextIO | None = None) -> None:
    """Print a value as JSON, on one line unless `indent` is given; ASCII only, so no text controls a terminal.

    Args:
        value: a JSON value.
        indent: spaces for each level.
        file: a stream; by default standard output.
    """
    click.echo(json.dumps(value, sort_keys=indent is None, indent=indent), file=file)


def styled(*pieces: str | tuple[str, str]) -> Text:
    """A line for a terminal, from texts with or without a style; markup in them is printed as text."""
    from rich.text import Text

    return Text.assemble(
        *(visible(piece) if isinstance(piece, str) else (visible(piece[0]), piece[1]) for piece in pieces)
    )


def screen(*, err: bool = False) -> RichConsole:
    """A console on standard output or standard error, without markup; without colours if it is not a terminal."""
    from rich.console import Console as RichConsole

    stream: Any = sys.stderr if err else sys.stdout
    console = RichConsole(stderr=err, highlight=False, markup=False, emoji=False, force_terminal=stream.isatty())
    if console.width < 1:  # COLUMNS=0
        console.width = USUAL_WIDTH
    return console


def say(console: RichConsole, *pieces: str | tuple[str, str], hang: int | None = None) -> None:
    """Print a line of styled pieces; a terminal breaks it as `echo` does, so that paths can be copied."""
    text = styled(*pieces)
    hang = _hang(text.plain, console.width, hang)
    breaks = _breaks(text.plain, console.width, hang) if console.is_terminal else []
    for number, line in enumerate(text.divide(breaks)):
        line.rstrip()
        before = " " * _room(line.plain, console.width, hang) if number else ""
        console.print(before, line, sep="", soft_wrap=True)


def broken(text: str, width: int | None, hang: int | None = None) -> Iterator[str]:
    """A text on lines of at most `width` cells, broken between words; None leaves it on one line.

    Args:
        text: one line of any length.
        width: cells of the window.
        hang: cells before the second and each further line; by default two more than before the first.
    """
    if width is None or len(text) <= width // 2:  # a character takes two cells at most
        yield text
        return
    hang = _hang(text, width, hang)
    places = [0, *_breaks(text, width, hang), len(text)]
    for number, (start, end) in enumerate(pairwise(places)):
        line = text[start:end] if end == len(text) else text[start:end].rstrip()
        yield " " * _room(line, width, hang) + line if number else line


def _hang(text: str, width: int, wanted: int | None) -> int:
    """Cells before further lines: half of a narrow window at most, so that there is room for words."""
    before = len(text) - len(text.lstrip(" "))
    return before + 2 if wanted is None else min(wanted, max(width // 2, before + 2))


def _room(line: str, width: int, hang: int) -> int:
    """Cells before a further line: fewer where its only word would not fit otherwise."""
    from rich.cells import cell_len

    return max(0, min(hang, width - cell_len(line)))


def _breaks(text: str, width: int, hang: int) -> list[int]:
    """Positions where new lines of at most `width` cells begin; a longer word has its own line."""
    from rich.cells import cell_len

    found = []
    used = least = len(text) - len(text.lstrip(" "))
    for word in re.finditer(r"\S+\s*", text):
        if used + cell_len(word[0].rstrip()) > width and used > least:
            found.append(word.start())
            used = least = hang
        used += cell_len(word[0])
    return found


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 unit``, ``2 units``, ``2 branches``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """The first few of many names, and the number of the others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
