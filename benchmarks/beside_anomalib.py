"""PatchCore or PaDiM with efficientnet-lite0 on real images: adbench beside anomalib, measured in the same run.

    make peers                                                        # once: installs anomalib 2.7.0 into .venv-peers
    .venv/bin/python benchmarks/beside_anomalib.py --data ../shared/data/magnetic-tile
    .venv/bin/python benchmarks/beside_anomalib.py --data ../shared/data/magnetic-tile --method padim

Each run is a process of its own, so that peak memory is its own; nothing is shared between seeds. The network's export,
which adbench makes once a machine, is made before. Without .venv-peers only adbench is measured. peers/README.md says
what is equal on both sides and what is not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
PEER_PYTHON = ROOT / ".venv-peers/bin/python"
PEER_SCRIPT = ROOT / "benchmarks/peers/anomalib_run.py"
LIMITS = ("--limit-train", "100", "--limit-test", "20")
METHODS = {
    "patchcore-lite": ("--recipe", "patchcore-lite"),
    "padim": (
        *("--recipe", "padim", "--backbone", "efficientnet-lite0:layers=1+2+3"),
        *("--preprocess", "resize:size=256+256,precision=float", "--bank", "padim:dim=100,regularization=0.01001"),
        *("--scorer", "mahalanobis:image_sigma=4,image_border=reflect"),
    ),
}
COLUMNS = ("image-auroc", "pixel-auroc", "pixel-aupro-30", "fit s", "ms/image", "peak MB")

Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/magnetic-tile")
    parser.add_argument("--method", choices=METHODS, default="patchcore-lite")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of adbench")
    parser.add_argument("--peer-seeds", type=int, nargs="*", default=[0, 1], help="of anomalib; a run takes minutes")
    arguments = parser.parse_args()
    if not PEER_PYTHON.exists():
        sys.stderr.write(f"{PEER_PYTHON} is not there: anomalib is left out; `make peers` installs it\n")
        arguments.peer_seeds = []
    say("anomalib, adbench", COLUMNS)
    say("---", ("---:",) * len(COLUMNS))
    theirs = measured("anomalib", arguments.peer_seeds, run_anomalib, arguments)
    ours = measured("adbench", arguments.seeds, run_adbench, arguments)
    if theirs:
        say("adbench - anomalib", [f"{ours[name] - theirs[name]:+.3f}" for name in COLUMNS[:3]] + [""] * 3)
        say("anomalib / adbench", [""] * 3 + [f"{theirs[name] / ours[name]:.1f}x" for name in COLUMNS[3:]])


def measured(who: str, seeds: list[int], run: Any, arguments: argparse.Namespace) -> Row:
    """Run each seed, print its row as soon as it is there, then the mean; empty without seeds."""
    rows = []
    for seed in seeds:
        rows.append(row_of(run(arguments.data.resolve(), seed, arguments.method)))
        say(f"{who}, seed {seed}", shown(rows[-1]))
    mean = {name: fmean(row[name] for row in rows) for name in COLUMNS if rows}
    if rows:
        say(f"**{who}, mean**", shown(mean))
    return mean


def run_anomalib(data: Path, seed: int, method: str) -> dict[str, Any]:
    told = ["--method", method, "--data", str(data), "--seed", str(seed)]
    return last_json([str(PEER_PYTHON), str(PEER_SCRIPT), *told, *LIMITS])


def run_adbench(data: Path, seed: int, method: str) -> dict[str, Any]:
    command = shutil.which("adbench", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit(f"adbench is not installed beside {sys.executable}; run this with the python of the .venv")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--evaluation", "256", "--device", "cpu", "--json", "--no-figures", "--threshold", "none"]
        places = ["--out", f"{folder}/runs", "--cache", f"{folder}/cache"]
        run = [command, "run", "--data", str(data), "--seed", str(seed), *METHODS[method], *options, *places]
        last_json([*run, "--limit-train", "2", "--limit-test", "1"])  # exports the network
        shutil.rmtree(f"{folder}/cache/features")
        return last_json([*run, *LIMITS])


def last_json(command: list[str]) -> dict[str, Any]:
    """What a command printed on the last line of its stdout; its stderr is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    lines = done.stdout.splitlines()
    if not lines or (done.returncode and json.loads(lines[-1])["status"] != "ok"):
        sys.exit(f"{' '.join(command)}\nfailed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return dict(json.loads(lines[-1]))


def row_of(record: dict[str, Any]) -> Row:
    """The figures of an adbench record, or of the peer's line, which has plain numbers for metrics."""
    metrics = {name: value["value"] if isinstance(value, dict) else value for name, value in record["metrics"].items()}
    cost = record["cost"]
    costs = (cost["fit_s"], cost["ms_per_image"]["p50"], cost["peak_memory_mb"])
    return {**{name: metrics[name] for name in COLUMNS[:3]}, **dict(zip(COLUMNS[3:], costs, strict=True))}


def shown(row: Row) -> list[str]:
    return [f"{row[name]:.3f}" for name in COLUMNS[:3]] + [f"{row[name]:.1f}" for name in COLUMNS[3:]]


def say(first: str, cells: Any) -> None:
    """One row of a Markdown table."""
    sys.stdout.write(" | ".join(["", first, *cells, ""]).strip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
