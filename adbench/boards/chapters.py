"""What a board says besides its standings, in order."""

from __future__ import annotations

from collections.abc import Sequence

from adbench import Table
from adbench.boards.board import Board
from adbench.boards.deployed import Thresholds, deployed_tables
from adbench.boards.fidelity import Published, fidelity_tables, published_tables
from adbench.boards.integrity import integrity_table
from adbench.engine.record import ResultRecord


def appendix(
    board: Board, records: Sequence[ResultRecord], thresholds: Thresholds, published: Sequence[Published]
) -> list[Table]:
    """What the figures are worth, and what others published.

    Args:
        board: title, protocol, metrics.
        records: all are of this board; their order does not matter.
        thresholds: of the records that have one.
        published: figures of papers, on any dataset.
    """
    return [
        *deployed_tables(board, records, thresholds),
        *fidelity_tables(board, records, published),
        *published_tables(board, published),
        *([integrity_table(board, records)] if records else []),
    ]
