"""The page over several data sets: tables and drawings without a script, so that nothing but text has to be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adbench.boards.page.asset_files import FOLDER, index_script
from adbench.boards.page.html import rendered
from adbench.boards.statistics.overall import OverallGroup, OverallRow
from adbench.boards.statistics.stats import Ranking
from adbench.boards.tables.overall_tables import (
    READ_AS,
    agreement_table,
    cell_text,
    mean_text,
    notes_of,
    rank_text,
    title_of,
)
from adbench.boards.tables.table import groups_of, p_text

SHADES = 4
"""Steps from the worst rank on a data set to the best."""
MOST_DRAWN = 40
"""Methods beyond which a diagram of critical differences shows nothing."""
_LEFT, _RIGHT = 2.0, 84.0
"""Percent of the drawing's width where the scale of ranks begins and ends; bars stand to its right."""
_STEP = 36
"""Height of a method in pixels: its name, and its dot below."""


def overall_html(groups: Sequence[OverallGroup], *, single_file: bool = False) -> str:
    """The page of the overall board.

    Args:
        groups: as `overall` makes them.
        single_file: whether the page holds its script and style, instead of links to `../assets/`.
    """
    shown = [_group(group) for group in groups]
    folder = None if single_file else f"../{FOLDER}"
    return rendered("overall.html.j2", [index_script()], folder, groups=shown, read_as=READ_AS)


def _group(group: OverallGroup) -> dict[str, Any]:
    return {
        "title": title_of(group),
        "metric": group.metric,
        "sets": group.sets,
        "rows": [_row(entry, group) for entry in group.entries],
        "notes": notes_of(group),
        "drawing": _drawing(group.ranking),
        "agreement": agreement_table(group) if group.agreement else None,
    }


def _row(entry: OverallRow, group: OverallGroup) -> dict[str, Any]:
    ranked = sum(each.rank is not None for each in group.entries)
    return {
        "label": entry.label,
        "rank": rank_text(entry.rank),
        "mean": mean_text(entry.mean),
        "group": groups_of(entry.label, group.ranking),
        "p": p_text(group.tests.p.get(entry.label)),
        "cells": [
            {"text": cell_text(entry, name), "shade": _shade(entry.ranks.get(name), ranked)} for name in group.sets
        ],
    }


def _shade(rank: float | None, ranked: int) -> int | None:
    """A step from 0, the worst rank on a data set, to the best; None without a rank."""
    if rank is None or ranked < 2:
        return None
    return round(SHADES * (ranked - rank) / (ranked - 1))


def _drawing(ranking: Ranking) -> dict[str, Any] | None:
    """Average ranks over all categories, a line a method; a bar at the right joins those that do not differ."""
    count = len(ranking.ranks)
    if ranking.difference is None or not 2 < count <= MOST_DRAWN:
        return None
    tops = {label: _STEP * number + 30 for number, label in enumerate(ranking.ranks)}
    dots = [
        {"label": label, "x": _place(rank, count), "y": tops[label], "rank": f"{rank:.2f}"}
        for label, rank in ranking.ranks.items()
    ]
    joined = [members for members in ranking.groups if len(members) > 1]
    width = (100 - _RIGHT - 4) / max(1, len(joined))
    bars = [
        {"x": _percent(_RIGHT + 3 + width * number), "top": tops[members[0]] + 8, "bottom": tops[members[-1]] + 20}
        for number, members in enumerate(joined)
    ]
    ticks = [{"x": _place(rank, count), "text": rank} for rank in sorted({1, (count + 1) // 2, count})]
    return {"height": _STEP * count + 34, "left": _percent(_LEFT), "dots": dots, "bars": bars, "ticks": ticks}


def _place(rank: float, count: int) -> str:
    """Where a rank stands on the scale from 1 to the number of methods."""
    return _percent(_LEFT + (_RIGHT - _LEFT) * (rank - 1) / (count - 1))


def _percent(share: float) -> str:
    return f"{share:.2f}%"
