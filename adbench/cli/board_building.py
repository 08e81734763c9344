"""What the commands that build boards share: how tables are rendered, and how a build is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from adbench.cli.board_context import known_here
from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.api.report import Report
    from adbench.boards.publish import Renderers
    from adbench.boards.records.board_files import BuildReport


def renderers(*, single_file: bool = False) -> Renderers:
    """The reports that print boards, with what is known here."""
    from adbench.boards.publish import Renderers
    from adbench.cli.plugins import installed

    markdown, table = (cast("Report", installed().get("report", name).cls()) for name in ("markdown", "csv"))
    return Renderers(markdown=markdown, csv=table, known=known_here(), single_file=single_file)


def report(outcome: BuildReport) -> int:
    """Say what was found; the exit code."""
    for line in outcome.news:
        echo(line, err=True)
    for line in outcome.problems:
        echo(f"error: {line}", err=True)
    return 1 if outcome.problems else 0
