"""A board of many methods: how long it takes to build, how large its page is, and how soon a browser shows it.

    python benchmarks/board.py                                  500 methods x 15 categories x 3 seeds
    python benchmarks/board.py --methods 50 --details 20        with details of single images for 20 methods

The records are made up, but as large as real ones. The page is opened by Debian's Chromium, where it and selenium are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from adbench.boards.publish import Renderers, build
from adbench.builtin.reports import Csv, Markdown
from adbench.engine.evaluate.details import Details
from adbench.engine.store.record import canonical_json, identity

METRICS = (
    "image-auroc",
    "image-ap",
    "image-f1-max",
    "pixel-auroc",
    "pixel-ap",
    "pixel-f1-max",
    "pixel-aupro-30",
    "pixel-aupro-05",
)
SEEDS = (0, 1, 2)
KINDS = ("good", "crack", "cut", "hole", "print")
IMAGES = 110
"""Of a category, as many as MVTec AD has on average."""
PROTOCOL = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "allow": ["nothing", "train"],
    "class_names": False,
}


def spec(method: int) -> dict[str, object]:
    """Recipes that share parts, as those of a grid do."""
    part = lambda name, **options: [{"name": name, "options": options, "version": 1}]  # noqa: E731
    return {
        "preprocess": part("resize", size=[256, 256], antialias=True, interpolation="bilinear", precision="float"),
        "backbone": part(f"backbone-{method % 20}", layers=[2, 3], precision="float32", weights="pretrained"),
        "neck": [*part("patchify", size=3, dim=None, form="average"), *part("concat-layers", upsample="bilinear")],
        "masker": [],
        "bank": part("coreset", fraction=round(0.01 * (1 + method // 20), 2), eps=0.9, projection="none"),
        "scorer": part("knn", k=1, metric="l2", reweight=9, reweight_form="anomalib"),
        "aggregate": part("scorer"),
        "map": {"at": "input", "border": "symmetric", "sigma": 4.0, "upsample": "bilinear"},
    }


def record(method: int, category: str, seed: int, dice: random.Random) -> dict[str, object]:
    recipe = spec(method)
    sha = hashlib.sha256(category.encode()).hexdigest()
    level = 0.75 + 0.2 * random.Random(method).random()
    figures = {name: min(1.0, level + 0.05 * dice.random()) for name in METRICS}
    slots = ("preprocess", "backbone", "neck", "bank", "scorer", "aggregate")
    parts = [
        {"kind": slot, "name": part["name"], "version": 1, "dist": f"adbench-{slot}", "dist_version": "0.1.0"}
        for slot in slots
        for part in recipe[slot]  # type: ignore[attr-defined]
    ]
    cost = {"extract_s": 10 * dice.random(), "fit_s": 20 * dice.random(), "test_s": 1 + dice.random()}
    cost |= {"ms_per_image": {"p50": 20 * dice.random() + 5, "p95": 60.0}, "peak_memory_mb": 900 + 99 * dice.random()}
    return {
        "schema": 3,
        "id": identity(canonical_json(recipe), category, sha, PROTOCOL, seed),
        "status": "ok",
        "reason": "",
        "recipe": {"name": f"backbone-{method % 20}+coreset-{method // 20}", "spec": recipe, "parts": parts},
        "task": {"dataset": "bench", "revision": "1", "category": category, "seed": seed, "protocol": PROTOCOL}
        | {"train": 240, "test": IMAGES, "samples_sha": sha, "skipped": []},
        "regime": {"train_images": 240}
        | dict.fromkeys(("test_set", "class_names", "anomalies"), False)
        | dict.fromkeys(("tuned_per_category", "random_weights"), False),
        "metrics": {name: {"value": value, "version": 1, "reason": ""} for name, value in figures.items()},
        "cost": {**cost, "peak_gpu_mb": None, "bank_mb": dice.random()},
        "predictions": {"file": "predictions.safetensors", "sha256": "0" * 64},
        "provenance": {"adbench": "0.1.0", "git": "0" * 40, "dirty": False, "python": "3.11.7", "torch": "2.14.1"}
        | {"device": f"device {method % 3}", "started": "2026-01-01T00:00:00+00:00", "packages": {"numpy": "2.4.6"}}
        | {"weights": [{"name": "backbone", "sha256": "1" * 64}]},
    }


def details(record_id: str, category: str, dice: random.Random) -> str:
    kinds = [KINDS[index * len(KINDS) // IMAGES] for index in range(IMAGES)]
    score = lambda kind: round(dice.gauss(30 if kind == "good" else 34, 2), 4)  # noqa: E731
    curve = sorted((round(dice.random(), 6), round(dice.random(), 6)) for _ in range(200))
    curve = list(zip([x for x, _ in curve], sorted(y for _, y in curve), strict=True))
    found = Details(
        id=record_id,
        images=[
            {"id": f"{category}/test/{kind}/{i:03}", "defect": kind, "score": score(kind)}
            for i, kind in enumerate(kinds)
        ],
        by_defect={kind: {name: dice.random() for name in METRICS} for kind in KINDS[1:]},
        curves={"roc": curve, "pro": curve},
        embedding=[(dice.random(), dice.random()) for _ in kinds],
    )
    return canonical_json(found.to_json())


def write_board(root: Path, methods: int, categories: int, detailed: int) -> None:
    folder = root / "bench" / "full-shot"
    for name in ("records", "details"):
        (folder / name).mkdir(parents=True)
    names = [f"category-{number:02d}" for number in range(categories)]
    board = {"title": "Benchmark", "dataset": "bench", "protocol": {"train": "all", "seeds": SEEDS}}
    (folder / "board.yaml").write_text(json.dumps({**board, "metrics": METRICS}), encoding="utf-8")
    for method in range(methods):
        dice = random.Random(method)
        records = [record(method, name, seed, dice) for name in names for seed in SEEDS]
        write_lines(folder / "records" / f"{method:04d}.jsonl", (canonical_json(each) for each in records))
        if method < detailed:
            ids = ((each["id"], each["task"]["category"]) for each in records)  # type: ignore[index]
            write_lines(folder / "details" / f"{method:04d}.jsonl", (details(*found, dice) for found in ids))


def write_lines(path: Path, lines: Iterator[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def built(root: Path) -> float:
    """Seconds of a build. The first one compresses all records too."""
    began = time.perf_counter()
    outcome = build([], root, Renderers(Markdown(), Csv()))
    assert not outcome.problems, outcome.problems[:3]
    return time.perf_counter() - began


def opened(page: Path) -> dict[str, float] | None:
    """Milliseconds from the request to the table, and to the second frame after it; None without a browser."""
    try:
        from selenium import webdriver
    except ImportError:
        return None
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chromium.get(page.as_uri())
        shown = chromium.execute_async_script(
            "const done = () => arguments[0](performance.now());"
            "requestAnimationFrame(() => requestAnimationFrame(done))"
        )
        loaded = chromium.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
        rows = chromium.execute_script("return document.querySelectorAll('.standings tbody tr').length")
    finally:
        chromium.quit()
    return {"loaded ms": loaded, "shown ms": shown, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=500)
    parser.add_argument("--categories", type=int, default=15)
    parser.add_argument("--details", type=int, default=0, help="methods that have details of single images")
    parser.add_argument("--keep", type=Path, help="leave the board in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.keep or Path(scratch)
        write_board(root, arguments.methods, arguments.categories, arguments.details)
        first, again = built(root), built(root)
        page = root / "bench" / "full-shot" / "index.html"
        print(f"records        {arguments.methods * arguments.categories * len(SEEDS):>10,}")
        print(f"first build s  {first:>10.1f}")
        print(f"build s        {again:>10.1f}")
        print(f"page MB        {page.stat().st_size / 1e6:>10.2f}")
        for name, value in (opened(page) or {"no chromium or selenium": float("nan")}).items():
            print(f"{name:<15}{value:>10,.0f}")


if __name__ == "__main__":
    main()
