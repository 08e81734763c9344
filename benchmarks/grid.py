"""A grid in one command against the same methods one by one, and against anomalib's benchmark pipeline.

    .venv/bin/python benchmarks/grid.py --data ../shared/data/mvtec-mini
    .venv/bin/python benchmarks/grid.py --data ../shared/data/mvtec-mini --peers     # after `make peers`; takes long

One backbone x {full, coreset 1 %, coreset 10 %} x {knn k 1, knn k 3, knn reweight 9} on every category of the data. One
by one, each method is a command of its own without a cache. The grid runs in one process, as each of these does, and
again in two processes of one thread each. Every way writes all records and pictures; how far their figures differ is
printed (sums of other threads end in other digits). Thresholds are left out (--threshold none): anomalib makes its own
from the test set. anomalib has no full bank (a coreset of 100 % takes a greedy step for each vector: hours): its
six jobs with a coreset are run, and compared with our nine.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEER_PYTHON = ROOT / ".venv-peers/bin/python"
PEER_SCRIPT = ROOT / "benchmarks/peers/anomalib_grid.py"
BANKS = ("full", "coreset:fraction=0.01", "coreset:fraction=0.1")
SCORERS = ("knn:k=1", "knn:k=3", "knn:k=1,reweight=9")
COMMON = ("--backbone", "efficientnet-lite0", "--device", "cpu", "--threshold", "none", "--json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/mvtec-mini")
    parser.add_argument("--peers", action="store_true", help="run anomalib's pipeline too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        grid_s, grid = in_one(arguments.data, Path(scratch, "grid"))
        again_s, _ = in_one(arguments.data, Path(scratch, "grid"))
        shared_s, shared = in_one(arguments.data, Path(scratch, "processes"), "--executor", "process:workers=2")
        alone_s, alone = one_by_one(arguments.data, Path(scratch, "alone"))
    images = sum(record["task"]["train"] + record["task"]["test"] for record in grid) // len(BANKS) // len(SCORERS)
    looked = sum(map(seen_by_backbone, by_bank(grid)))
    say("what", "seconds", "ratio")
    say("---", "---:", "---:")
    say("nine methods one by one, no cache", f"{alone_s:.1f}", "")
    say("the same as a grid", f"{grid_s:.1f}", f"1/{alone_s / grid_s:.1f}")
    say("the same as a grid, two processes", f"{shared_s:.1f}", f"1/{alone_s / shared_s:.1f}")
    say("the finished grid again", f"{again_s:.2f}", "")
    print(f"\n{len(grid)} units; {images} images, seen {looked} times by the backbone in the grid")
    apart = {
        "grid": furthest(figures(alone), figures(grid)),
        "two processes": furthest(figures(alone), figures(shared)),
    }
    print("largest difference of a figure from the single runs:", ", ".join(f"{k} {v:.1e}" for k, v in apart.items()))
    if arguments.peers:
        if not PEER_PYTHON.exists():
            sys.exit(f"{PEER_PYTHON} is not there; `make peers` installs anomalib")
        theirs = timed([str(PEER_PYTHON), str(PEER_SCRIPT), "--data", str(arguments.data.resolve())])[0]
        print(f"anomalib's pipeline, the six jobs with a coreset: {theirs:.1f} s, {theirs / grid_s:.1f}x our nine")


def in_one(data: Path, scratch: Path, *words: str) -> tuple[float, list[dict[str, Any]]]:
    """All methods by one command, with a cache that is empty at first."""
    axes = [word for bank in BANKS for word in ("--bank", bank)] + [
        w for scorer in SCORERS for w in ("--scorer", scorer)
    ]
    return run(data, scratch / "runs", "--all", *axes, "--cache", str(scratch / "cache"), *words)


def one_by_one(data: Path, scratch: Path) -> tuple[float, list[dict[str, Any]]]:
    """A command for each method."""
    total, records = 0.0, []
    for bank in BANKS:
        for scorer in SCORERS:
            seconds, found = run(data, scratch / "runs", "--bank", bank, "--scorer", scorer, "--cache", "none")
            total += seconds
            records += found
    return total, records


def run(data: Path, out: Path, *words: str) -> tuple[float, list[dict[str, Any]]]:
    command = shutil.which("adbench", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit(f"adbench is not installed beside {sys.executable}; run this with the python of the .venv")
    seconds, printed = timed([command, "run", *COMMON, "--data", str(data), "--out", str(out), *words])
    return seconds, [json.loads(line) for line in printed.splitlines()]


def timed(command: list[str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nfailed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds, done.stdout


def figures(records: list[dict[str, Any]]) -> dict[tuple[str, str], float | None]:
    return {(record["id"], name): metric["value"] for record in records for name, metric in record["metrics"].items()}


def furthest(some: dict[tuple[str, str], float | None], others: dict[tuple[str, str], float | None]) -> float:
    """The largest difference; what only one side has is infinitely far."""
    if some.keys() != others.keys():
        return math.inf
    pairs = ((value, others[key]) for key, value in some.items())
    return max(0.0 if a == b else math.inf if a is None or b is None else abs(a - b) for a, b in pairs)


def by_bank(records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Units that share what was learned."""
    groups = defaultdict(list)
    for record in records:
        groups[record["task"]["category"], json.dumps(record["recipe"]["spec"]["bank"], sort_keys=True)].append(record)
    return list(groups.values())


def seen_by_backbone(units: list[dict[str, Any]]) -> int:
    """Images that were no recalled features. All of a bank's units tell what its fit recalled, which they share."""
    train, test = units[0]["task"]["train"], units[0]["task"]["test"]
    recalled = [unit["cost"]["recalled"] for unit in units]
    of_fit = min(train, *recalled)
    return train - of_fit + sum(test - (count - of_fit) for count in recalled)


def say(*cells: str) -> None:
    print(" | ".join(["", *cells, ""]).strip())


if __name__ == "__main__":
    main()
