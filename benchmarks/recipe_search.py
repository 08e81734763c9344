"""The search for a better recipe without training: chosen on one dataset alone, reported on another.

    python benchmarks/recipe_search.py RUNS [--by image-auroc pixel-aupro-30] [--top 10]

RUNS are those of ``adbench run --suite configs/suites/recipe-search.yaml --threshold none --out RUNS``. Recipes are
ranked by the mean of the metrics, each the mean over categories, at one seed; ties go to the smaller bank.
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
    given = parser.parse_args()
    recipes = by_recipe(read_record(folder) for folder in find_runs(given.runs))
    ranked = sorted(recipes, key=lambda records: (-fmean(figures(records, given.by)), bank_mb(records)))
    print("rank |", " | ".join([*given.by, "bank MB", "ms an image", "recipe"]))
    for rank, records in enumerate(ranked[: given.top], 1):
        costs = [f"{bank_mb(records):.2f}", f"{fmean(r.cost.ms_per_image.p50 for r in records if r.cost):.1f}"]
        print(
            rank, "|", " | ".join([*(f"{100 * x:.2f}" for x in figures(records, given.by)), *costs, told(records[0])])
        )


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
    shown = ("size", "layers", "fraction", "metric")
    words = []
    for slot in ("preprocess", "backbone", "neck", "bank", "scorer", "aggregate"):
        for part in record.recipe.spec[slot]:
            options = [f"{key}={value}" for key, value in part["options"].items() if key in shown]
            words.append(part["name"] + (f"({', '.join(options)})" if options else ""))
    return " + ".join(words)


if __name__ == "__main__":
    main()
