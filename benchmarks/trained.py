r"""anomalib's reverse distillation in adbench's loop beside anomalib's own Engine, measured in the same run.

    make peers                                                        # once: installs anomalib 2.7.0 into .venv-peers
    .venv-peers/bin/pip install onnxruntime -e plugins/adbench-onnx
    .venv-peers/bin/python benchmarks/trained.py --data ../shared/data/mvtec-mini/hazelnut \
        --onnx ../shared/weights/resnet50v2_stages123.onnx

Both sides have the same frozen encoder (an ONNX file), decoder, optimiser, images, size, batch and number of steps, and
differ in initial weights and order of images. Each run is a process of its own, so that peak memory is its own. "CPU s"
is that of the whole process, imports and tests of all images included; where others use the machine, it says more than
seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
PEER_SCRIPT = ROOT / "benchmarks/peers/anomalib_trained.py"
METRICS = ("image-auroc", "pixel-auroc", "pixel-aupro-30")
COLUMNS = (*METRICS, "fit s", "ms/image", "peak MB", "CPU s")


def main() -> None:
    arguments = parse()
    say("", COLUMNS)
    say("---", ("---:",) * len(COLUMNS))
    rows: dict[str, list[dict[str, float]]] = {"anomalib": [], "adbench": []}
    for seed in arguments.seeds:  # the sides take turns, so that a load that changes meets both
        for who, run in (("anomalib", run_anomalib), ("adbench", run_adbench)):
            rows[who].append(row_of(*timed(run, seed, arguments)))
            say(f"{who}, seed {seed}", shown(rows[who][-1]))
    means = [{name: fmean(row[name] for row in rows[who]) for name in COLUMNS} for who in rows]
    for who, mean in zip(rows, means, strict=True):
        say(f"**{who}, mean**", shown(mean))
    theirs, ours = means
    say("adbench - anomalib", [f"{ours[name] - theirs[name]:+.3f}" for name in METRICS] + [""] * 4)
    say("anomalib / adbench", [""] * 3 + [f"{theirs[name] / ours[name]:.2f}x" for name in COLUMNS[3:]])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category in MVTec AD's layout")
    parser.add_argument("--onnx", type=Path, required=True, help="resnet50v2_stages123.onnx")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    return parser.parse_args()


def timed(run: Any, seed: int, arguments: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """What a run prints, and the processor's seconds that its process took from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = run(seed, arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return record, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_anomalib(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    numbers = {"--seed": seed, "--steps": arguments.steps, "--batch": arguments.batch, "--side": arguments.side}
    told = [str(each) for pair in numbers.items() for each in pair]
    files = ["--data", str(arguments.data.resolve()), "--onnx", str(arguments.onnx.resolve())]
    return last_json([sys.executable, str(PEER_SCRIPT), *files, *told])


def run_adbench(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    side, data = arguments.side, arguments.data.resolve()
    bank = f"anomalib:model=reverse-distillation,architecture=resnet50,steps={arguments.steps},batch={arguments.batch}"
    parts = {
        "--preprocess": f"resize:size={side}+{side},precision=float",
        "--backbone": f"onnx:path={arguments.onnx.resolve()},layers=layer1+layer2+layer3",
        "--bank": bank,
    }
    told = [each for pair in parts.items() for each in pair]
    with tempfile.TemporaryDirectory() as folder:
        where = [
            "--data",
            str(data.parent),
            "--category",
            data.name,
            "--out",
            f"{folder}/runs",
            "--cache",
            f"{folder}/cache",
        ]
        options = ["--evaluation", str(side), "--device", "cpu", "--json", "--no-figures", "--threshold", "none"]
        command = str(Path(sys.executable).parent / "adbench")
        recipe = ["--recipe", "reverse-distillation"]
        return last_json([command, "run", *recipe, *where, "--seed", str(seed), *told, *options])


def last_json(command: list[str]) -> dict[str, Any]:
    """What a command printed on the last line of its stdout; its stderr is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        sys.exit(f"{' '.join(command)}\nfailed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return dict(json.loads(lines[-1]))


def row_of(record: dict[str, Any], seconds: float) -> dict[str, float]:
    """The figures of an adbench record, or of the peer's line, which has plain numbers for metrics."""
    metrics = {name: value["value"] if isinstance(value, dict) else value for name, value in record["metrics"].items()}
    cost = record["cost"]
    costs = (cost["fit_s"], cost["ms_per_image"]["p50"], cost["peak_memory_mb"], seconds)
    return {**{name: metrics[name] for name in METRICS}, **dict(zip(COLUMNS[3:], costs, strict=True))}


def shown(row: dict[str, float]) -> list[str]:
    return [f"{row[name]:.3f}" for name in METRICS] + [f"{row[name]:.1f}" for name in COLUMNS[3:]]


def say(first: str, cells: Any) -> None:
    """One row of a Markdown table."""
    sys.stdout.write(" | ".join(["", first, *cells, ""]).strip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
