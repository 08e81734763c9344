"""The table at the end of a run: one row for each category and seed of one method, or one row for each method."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from adbench.cli.text_table import Column, TextTable
from adbench.engine.plan.row_names import distinct_names

if TYPE_CHECKING:
    from adbench.engine.store.record import Cost, ResultRecord

METRICS = {
    "image-auroc": Column("image\nAUROC", "image"),
    "image-ap": Column("image\nAP", "image"),
    "image-f1-max": Column("image\nF1-max", "image"),
    "pixel-auroc": Column("pixel\nAUROC", "pixel"),
    "pixel-ap": Column("pixel\nAP", "pixel"),
    "pixel-f1-max": Column("pixel\nF1-max", "pixel"),
    "pixel-aupro-30": Column("AUPRO\n0.30", "pixel"),
    "pixel-aupro-05": Column("AUPRO\n0.05", "pixel"),
}
_COSTS = Column("ms an\nimage", "cost"), Column("fit\ns", "cost")

_USUAL = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "class_names": False,
    "contaminate": None,
    "model_per": "category",
    "defect_shots": None,
}
"""Protocol rules that a title leaves out; `allow` shows in the regime of the records."""

NOT_DRAWN = "det."
"""The spread over seeds of a deterministic method."""


def tables(records: Sequence[ResultRecord], places: Mapping[str, str] | None = None) -> Iterator[TextTable]:
    """A table for each dataset and protocol: one row for each category and seed of one method, or for each method.

    Args:
        records: of units, in any order.
        places: known paths of the files in options, by sha256.
    """
    groups: dict[tuple[str, str], list[ResultRecord]] = defaultdict(list)
    for record in records:
        groups[terms_of(record), record.task.revision].append(record)
    alike = Counter(terms for terms, _ in groups)
    for (terms, revision), group in groups.items():
        title = terms if alike[terms] == 1 else f"{terms} (revision {revision})"
        methods: dict[str, list[ResultRecord]] = defaultdict(list)
        for record in group:
            methods[record.recipe.spec_sha].append(record)
        if len(methods) == 1:
            yield _by_category(f"{group[0].recipe.name} on {title}", group)
        else:
            yield _by_method(title, methods, places)


def terms_of(record: ResultRecord) -> str:
    """The dataset and the protocol, in words; each has its own table."""
    protocol = record.task.protocol
    rules = [f"{key.replace('_', '-')} {value}" for key, value in protocol.items() if value != _USUAL.get(key, value)]
    return ", ".join([record.task.dataset, *rules])


def _by_category(title: str, records: Sequence[ResultRecord]) -> TextTable:
    records = sorted(records, key=lambda it: (it.task.category, it.task.seed))
    grid = _grid(title, "category")
    for record in records:
        grid.add(*_row(record))
    grid.add("mean", *(_mean(records, name) for name in METRICS), "", "", apart=True)
    if len(_seeds(records)) > 1:
        grid.add("± over seeds", *(_spread(records, name) for name in METRICS), "", "")
    return grid


def _by_method(
    title: str, methods: Mapping[str, Sequence[ResultRecord]], places: Mapping[str, str] | None
) -> TextTable:
    """A table of the mean over categories and seeds of each method, best first; 'adbench board' shows more."""
    names = distinct_names(
        {sha: _name(records) for sha, records in methods.items()},
        {sha: records[0].recipe.spec for sha, records in methods.items()},
        places,
    )
    several = max(len(_seeds(records)) for records in methods.values()) > 1
    grid = _grid(f"{title}{', ± over seeds' if several else ''}", "method")
    for sha, records in sorted(methods.items(), key=lambda item: (-_rank(item[1]), names[item[0]])):
        figures = (" ".join(filter(None, (_mean(records, m), _signed(_spread(records, m))))) for m in METRICS)
        grid.add(names[sha], *figures, *_times([record.cost for record in records if record.cost is not None]))
    return grid


def _name(records: Sequence[ResultRecord]) -> str:
    """The most frequent name of the method in its records; of equally frequent names the first by alphabet."""
    names = Counter(record.recipe.name for record in records)
    return min(names, key=lambda name: (-names[name], name))


def _grid(title: str, first: str) -> TextTable:
    return TextTable(f"{title} (figures in %)", [Column(first), *METRICS.values(), *_COSTS])


def _row(record: ResultRecord) -> list[str]:
    name = record.task.category + (f" (seed {record.task.seed})" if record.task.seed else "")
    if record.status != "ok" or record.cost is None:
        return [name, record.status, *([""] * (len(METRICS) + 1))]
    figures = [_percent(record.metrics[key].value if key in record.metrics else None) for key in METRICS]
    return [name, *figures, *_times([record.cost])]


def _times(costs: Sequence[Cost]) -> tuple[str, str]:
    if not costs:
        return "", ""
    image = statistics.fmean(cost.ms_per_image.p50 for cost in costs)
    return f"{image:.1f}", f"{statistics.fmean(cost.fit_s for cost in costs):.1f}"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def _values(records: Sequence[ResultRecord], metric: str) -> list[float]:
    found = (record.metrics[metric].value for record in records if metric in record.metrics)
    return [value for value in found if value is not None]


def _rank(records: Sequence[ResultRecord]) -> float:
    """The sort key of a row: its mean image AUROC; rows without a mean come last."""
    values = _values(records, "image-auroc")
    return statistics.fmean(values) if len(values) == len(records) else -1.0


def _mean(records: Sequence[ResultRecord], metric: str) -> str:
    """The mean over all rows, or the number of rows with a figure."""
    there = _values(records, metric)
    return _percent(statistics.fmean(there)) if len(there) == len(records) else f"{len(there)}/{len(records)}"


def _seeds(records: Sequence[ResultRecord]) -> set[int]:
    return {record.task.seed for record in records}


def _spread(records: Sequence[ResultRecord], metric: str) -> str:
    """The sample standard deviation over seeds of the mean over categories; empty if a figure is missing."""
    by_seed: dict[int, dict[str, float | None]] = defaultdict(dict)
    for record in records:
        by_seed[record.task.seed][record.task.category] = _value(record, metric)
    whole = {record.task.category for record in records}
    rows = [list(row.values()) for row in by_seed.values() if row.keys() == whole]
    if len(rows) < 2 or len(rows) < len(by_seed) or any(value is None for row in rows for value in row):
        return ""
    if not drawn(records):
        return NOT_DRAWN
    return _percent(statistics.stdev(statistics.fmean(value or 0.0 for value in row) for row in rows))


def _value(record: ResultRecord, metric: str) -> float | None:
    return record.metrics[metric].value if metric in record.metrics else None


def _signed(spread: str) -> str:
    return spread if spread in ("", NOT_DRAWN) else f"± {spread}"


def drawn(records: Sequence[ResultRecord]) -> bool:
    """Whether another seed could give another figure: a random draw, or a seed that chooses the images."""
    images: dict[str, set[str]] = defaultdict(set)
    for record in records:
        images[record.task.category].add(record.task.samples_sha)
    return any(record.drew is not False for record in records) or any(len(shas) > 1 for shas in images.values())
