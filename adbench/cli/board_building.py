"""The renderers of a build, and its report, for the commands that build boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from adbench.cli.board_context import board_facts
from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.api.report import Report
    from adbench.boards.publish import Renderers
    from adbench.boards.records.board_files import BuildReport


def renderers(*, single_file: bool = False) -> Renderers:
    """The renderers of boards, with the facts of this installation."""
    from adbench.boards.publish import Renderers
    from adbench.cli.plugins import installed

    markdown, table = (cast("Report", installed().get("report", name).cls()) for name in ("markdown", "csv"))
    return Renderers(markdown=markdown, csv=table, known=board_facts(), single_file=single_file)


def report(outcome: BuildReport) -> int:
    """Print the news and problems of a build; return the exit code."""
    for line in outcome.news:
        echo(line, err=True)
    for line in outcome.problems:
        echo(f"error: {line}", err=True)
    return 1 if outcome.problems else 0
