"""Counts of unusual masks, which a board shows where records have any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from adbench.boards.text import plain
from adbench.engine.store.record import ResultRecord

_MOST = 10**9
_SENTENCES = {
    "vanished_defects": (
        "no defect is smaller than a pixel of the grid",
        "{} vanish, and count as the pixels they touch: {}",
    ),
    "empty_masks": ("every mask marks something", "{} mark nothing, and are left out of the pixel metrics: {}"),
}
"""Sentences of each count: the check, and its result."""


def annotation_rows(records: Sequence[ResultRecord]) -> Iterator[tuple[str, str]]:
    """A line for each count that is not 0. Records of one category see the same masks: the highest counts."""
    for fact, (checked, found) in _SENTENCES.items():
        counts: dict[str, int] = defaultdict(int)
        for record in records:
            category = record.task.category
            counts[category] = max(counts[category], int(min(_MOST, record.facts.get(fact, 0))))
        some = {name: count for name, count in sorted(counts.items()) if count > 0}
        if some:
            where = ", ".join(f"{plain(name)} {count}" for name, count in some.items())
            yield checked, found.format(sum(some.values()), where)
