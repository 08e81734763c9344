"""One hash for all that decides what a figure means. Figures of different fingerprints are different quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from adbench.boards.tables.methods import RegimeGroup
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import hash8
from adbench.engine.store.record import canonical_json

DEFINITIONS: Mapping[str, Any] = {
    "thresholds": "every distinct score; equal scores together",
    "pixels": "all annotated test images of a category together; what a crop removed scores lowest",
    "connectivity": 8,
    "overlap": "mean over all regions of the test set, up to a false positive rate, divided by it",
    "normals": "all normal pixels of the test set",
    "limits": {"pixel-aupro-30": 0.3, "pixel-aupro-05": 0.05},
    "draws": "sorted(train)[seed * shots:(seed + 1) * shots]",
}
"""How the metrics of docs/protocol.md are computed, and how shots are drawn: whoever changes that, changes this."""

ON_A_GRID: Mapping[str, Any] = {"small regions": "one that the nearest pixels lose marks the pixels that it touches"}
"""Further definition where maps are evaluated on a grid of their own."""


_LATER = {"tuned_on_test", "contamination", "all_categories", "unverified", "unknown"}


def fingerprint(data: BoardData, regime: RegimeGroup, threshold: str = "") -> str:
    """Eight hexadecimal digits, the same for figures that may be compared and hardly for others.

    Args:
        data: the board and the versions of its metrics.
        regime: what the row's method was given, and which of its metrics are older.
        threshold: for figures that depend on one: the rule, and the source of the normal scores.
    """
    return hash8(canonical_json(terms(data, regime, threshold)))


def terms(data: BoardData, regime: RegimeGroup, threshold: str = "") -> dict[str, Any]:
    """The values that the fingerprint hashes."""
    board = data.board
    return {
        "dataset": board.dataset,
        "definitions": DEFINITIONS if board.protocol.evaluation == "original" else {**DEFINITIONS, **ON_A_GRID},
        "metrics": {name: data.truth.versions.get(name) for name in board.metrics},
        "protocol": board.protocol.rules(),
        "seeds": board.protocol.seeds,
        "regime": _given(regime),
        "threshold": threshold,
    }


def _given(regime: RegimeGroup) -> dict[str, Any]:
    """All of a regime; what came later only where it holds, so that the fingerprints of other rows stay."""
    return {name: value for name, value in asdict(regime).items() if name not in _LATER or value}
