"""What a board says besides its standings, in order."""

from __future__ import annotations

from collections.abc import Sequence

from adbench import Table
from adbench.boards.deployed import Thresholds, deployed_tables
from adbench.boards.fidelity import Published, fidelity_tables, published_tables
from adbench.boards.integrity import integrity_table
from adbench.boards.tidy import Tidy


def appendix(data: Tidy, thresholds: Thresholds, published: Sequence[Published]) -> list[Table]:
    """What the figures are worth, and what others published.

    Args:
        data: of the board.
        thresholds: of the records that have one.
        published: figures of papers, on any dataset.
    """
    return [
        *deployed_tables(data, thresholds),
        *fidelity_tables(data, published),
        *published_tables(data.board, published),
        *([integrity_table(data)] if data.records else []),
    ]
