"""What is printed: fitted to a terminal's width, plain text elsewhere; and no stranger's text can steer it.

Records, file names and error texts may hold escape sequences, line breaks, marks that turn the writing direction round,
rich's markup or halves of characters. All of `adbench.cli` prints through here.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from adbench.errors import printable

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.text import Text

MOST = 2000
"""Characters of one stranger's text that are shown."""
USUAL_WIDTH = 80


def visible(text: object, most: int = MOST) -> str:
    """A text in which every character can be seen: those that would steer a terminal are written as escapes.

    Args:
        text: whatever is to be shown.
        most: characters that are shown of it; of a longer one the beginning and the end.
    """
    said = str(text)
    if len(said) > most:
        said = f"{said[: most - most // 4]} … {said[-(most // 4) :]}"
    return printable(said)


def echo(*lines: object, err: bool = False, **style: Any) -> None:
    """Print texts, each of them on one line. Styled, in click's words, on a terminal only."""
    for line in lines:
        said = visible(line, 10 * MOST)
        click.echo(click.style(said, **style) if style else said, err=err)


def echo_json(value: Any, indent: int | None = None, file: TextIO | None = None) -> None:
    """Print a value as JSON, on one line unless `indent` is given. In ASCII: nothing in it steers a terminal.

    Args:
        value: to be printed.
        indent: spaces before what is inside.
        file: where it goes; standard output if nobody says.
    """
    click.echo(json.dumps(value, sort_keys=indent is None, indent=indent), file=file)


def styled(*pieces: str | tuple[str, str]) -> Text:
    """A line for a terminal: texts, or texts with a style. Nothing in them is markup."""
    from rich.text import Text

    return Text.assemble(
        *(visible(piece) if isinstance(piece, str) else (visible(piece[0]), piece[1]) for piece in pieces)
    )


def screen(*, err: bool = False) -> RichConsole:
    """A console on standard output or standard error, without markup; without colours too where it is no terminal."""
    from rich.console import Console as RichConsole

    stream: Any = sys.stderr if err else sys.stdout
    console = RichConsole(stderr=err, highlight=False, markup=False, emoji=False, force_terminal=stream.isatty())
    if console.width < 1:  # COLUMNS=0
        console.width = USUAL_WIDTH
    return console


def say(console: RichConsole, *pieces: str | tuple[str, str]) -> None:
    """Print a line: on a terminal broken between words, and never inside one, since a path is there to be copied."""
    text = styled(*pieces)
    indent = " " * (2 + len(text.plain) - len(text.plain.lstrip(" ")))
    breaks = _breaks(text.plain, console.width, len(indent)) if console.is_terminal else []
    for number, line in enumerate(text.divide(breaks)):
        line.rstrip()
        console.print(indent if number else "", line, sep="", soft_wrap=True)


def _breaks(text: str, width: int, indent: int) -> list[int]:
    """Where lines of at most so many cells begin, the first one apart; a longer word has a line of its own."""
    from rich.cells import cell_len

    found, used = [], indent - 2
    for word in re.finditer(r"\S+\s*", text):
        if used + cell_len(word[0].rstrip()) > width and used > indent:
            found.append(word.start())
            used = indent
        used += cell_len(word[0])
    return found


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 unit``, ``2 units``, ``2 branches``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """The first few of many names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
