"""Tables of a board that follow its standings."""

from __future__ import annotations

from collections.abc import Sequence

from adbench.boards.records.integrity import integrity_table
from adbench.boards.tables.deployed import Thresholds, deployed_tables
from adbench.boards.tables.published_figures import Published, fidelity_tables, published_tables
from adbench.boards.tables.tidy import BoardData
from adbench.reports import Table


def appendix(data: BoardData, thresholds: Thresholds, published: Sequence[Published]) -> list[Table]:
    """Deployed figures, comparisons with papers, published figures and checks, in this order.

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
