"""The search for a better recipe without training: chosen on one dataset alone, reported on another.

    python benchmarks/recipe_search.py RUNS [--by image-auroc pixel-aupro-30] [--top 10]
    python benchmarks/recipe_search.py RUNS --leave-one-out

RUNS are those of ``adbench run --suite configs/suites/recipe-search.yaml --threshold none --out RUNS``. Recipes are
ranked by the mean of the metrics, each the mean over categories, at one seed; ties go to the smaller bank.

``--leave-one-out`` wants runs of several datasets (``configs/suites/recipe-search-lite.yaml``): for each dataset, the
recipe that is best on the mean over all others, and its figures on the one that was left out. A dataset counts by the
mean of those metrics that it has: one without masks by the image metrics alone.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from adbench.engine.store.record import ResultRecord, canonical_json, find_runs, read_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--by", nargs="+", default=["image-auroc", "pixel-aupro-30"])
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--leave-one-out", action="store_true")
    given = parser.parse_args()
    if given.leave_one_out:
        leave_one_out([read_record(folder) for folder in find_runs(given.runs)], given.by)
        return
    recipes = by_recipe(read_record(folder) for folder in find_runs(given.runs))
    ranked = sorted(recipes, key=lambda records: (-fmean(figures(records, given.by)), bank_mb(records)))
    print("rank |", " | ".join([*given.by, "bank MB", "ms an image", "recipe"]))
    for rank, records in enumerate(ranked[: given.top], 1):
        costs = [f"{bank_mb(records):.2f}", f"{fmean(r.cost.ms_per_image.p50 for r in records if r.cost):.1f}"]
        print(
            rank, "|", " | ".join([*(f"{100 * x:.2f}" for x in figures(records, given.by)), *costs, told(records[0])])
        )


def leave_one_out(records: Sequence[ResultRecord], metrics: Sequence[str]) -> None:
    """Print the choice for each dataset left out, and the choice over all."""
    datasets = sorted({record.task.dataset for record in records})
    found = by_recipe(iter(records))
    tables = [{name: [r for r in group if r.task.dataset == name] for name in datasets} for group in found]
    print("left out |", " | ".join([*metrics, "bank MB", "recipe"]))
    for left in [*datasets, None]:
        best = max(tables, key=lambda table: fmean(mean_of(table[name], metrics) for name in datasets if name != left))
        for name in datasets if left is None else [left]:
            told_figures = ["none" if x is None else f"{100 * x:.2f}" for x in those_it_has(best[name], metrics)]
            mb = f"{bank_mb(best[name]):.2f}"
            print(left or f"none: {name}", "|", " | ".join([*told_figures, mb, told(best[name][0])]))


def those_it_has(records: Sequence[ResultRecord], metrics: Sequence[str]) -> list[float | None]:
    """Means over categories; None where a dataset has no such metric."""
    values = [[record.metrics[name].value for record in records] for name in metrics]
    return [None if None in column else fmean(x for x in column if x is not None) for column in values]


def mean_of(records: Sequence[ResultRecord], metrics: Sequence[str]) -> float:
    return fmean(value for value in those_it_has(records, metrics) if value is not None)


def by_recipe(records: Iterator[ResultRecord]) -> list[list[ResultRecord]]:
    found: dict[str, list[ResultRecord]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            found[canonical_json(record.recipe.spec)].append(record)
    most = max(map(len, found.values()), default=0)
    return [group for group in found.values() if len(group) == most]  # no mean over missing categories


def figures(records: Sequence[ResultRecord], metrics: Sequence[str]) -> list[float]:
    return [fmean(record.metrics[name].value or 0.0 for record in records) for name in metrics]


def bank_mb(records: Sequence[ResultRecord]) -> float:
    return fmean(record.cost.bank_mb for record in records if record.cost)


def told(record: ResultRecord) -> str:
    """Parts with the options that the search varies."""
    shown = ("size", "multiple", "layers", "count", "places", "fraction", "metric", "weight", "place_weight")
    words = []
    for slot in ("preprocess", "backbone", "neck", "bank", "scorer", "aggregate"):
        for part in record.recipe.spec[slot]:
            options = [f"{key}={value}" for key, value in part["options"].items() if key in shown]
            words.append(part["name"] + (f"({', '.join(options)})" if options else ""))
    return " + ".join(words)


if __name__ == "__main__":
    main()
