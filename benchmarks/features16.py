"""What rounding kept features to 16 bits does to the figures, and to the size of the cache.

    .venv/bin/python benchmarks/features16.py

A coreset as in patchcore-lite and a full bank, each with `features: float32` and `features: float16`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
METRICS = ("image-auroc", "image-ap", "pixel-auroc", "pixel-ap", "pixel-aupro-30")
RECIPES = {
    "coreset 1 %": "bank: {coreset: {fraction: 0.01}}\nscorer: {knn: {k: 1, reweight: 9}}\n",
    "full": "bank: full\nscorer: {knn: {k: 1}}\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/mvtec-mini")
    data = parser.parse_args().data
    print(" | ".join(["| bank, category", *METRICS, "score, worst relative |"]))
    print("|".join(["|---", *["---:"] * (len(METRICS) + 1), ""]))
    for name, parts in RECIPES.items():
        with tempfile.TemporaryDirectory() as scratch:
            full, half = (run(data, Path(scratch), parts, bits) for bits in ("float32", "float16"))
            for one, other in zip(full, half, strict=True):
                moved = [other["metrics"][metric]["value"] - one["metrics"][metric]["value"] for metric in METRICS]
                worst = difference(scores(Path(scratch), one), scores(Path(scratch), other))
                cells = [f"{name}, {one['task']['category']}", *(f"{value:+.5f}" for value in moved), f"{worst:.1e}"]
                print("| " + " | ".join(cells) + " |", flush=True)
            sizes = [size(Path(scratch, f"cache-{bits}")) for bits in ("float32", "float16")]
    print(f"\ncache: {sizes[0] / 2**20:.0f} MB and {sizes[1] / 2**20:.0f} MB")


def run(data: Path, scratch: Path, parts: str, bits: str) -> list[dict[str, Any]]:
    recipe = scratch / f"{bits}.yaml"
    recipe.write_text(f"recipe: {bits}\nbackbone: efficientnet-lite0\nfeatures: {bits}\n{parts}")
    command = shutil.which("adbench", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit(f"adbench is not installed beside {sys.executable}; run this with the python of the .venv")
    words = ["--recipe", recipe, "--data", data, "--out", scratch / "runs", "--cache", scratch / f"cache-{bits}"]
    options = ["--device", "cpu", "--json", "--no-figures"]
    done = subprocess.run([command, "run", *map(str, words), *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def scores(scratch: Path, record: dict[str, Any]) -> Any:
    from safetensors.numpy import load_file

    (folder,) = (scratch / "runs").glob(f"*-{record['id'][:12]}")
    return load_file(folder / record["predictions"]["file"])["scores"]


def difference(one: Any, other: Any) -> float:
    return float((abs(one - other) / abs(one)).max())


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


if __name__ == "__main__":
    main()
