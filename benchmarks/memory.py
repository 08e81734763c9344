"""Memory of a whole run while the number of test images grows.

    python benchmarks/memory.py                     100, 1,000 and 10,000 images
    python benchmarks/memory.py --images 100 2000

Toy parts on synthetic images of 64 x 64 with 32 x 32 patches; everything else is what `adbench run` does: reading,
scoring, maps, all metrics, pictures, the record. Each run has a process of its own. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adbench import Dataset, Sample, Split

SIDE, DEFECT, TRAIN = 64, 12, 4


class Noise(Dataset):
    """Gray noise; every other test image has a bright square."""

    name = "noise"

    class Config(Dataset.Config):
        images: int

    config: Config

    def categories(self) -> Sequence[str]:
        return ["noise"]

    def split(self, category: str) -> Split:
        train = tuple(Sample(f"{category}/train/good/{number:05}") for number in range(TRAIN))
        kinds = [("good", "square")[number % 2] for number in range(self.config.images)]
        test = (Sample(f"{category}/test/{kind}/{number:05}", kind) for number, kind in enumerate(kinds))
        return Split(train, tuple(sorted(test, key=lambda sample: sample.id)))

    def image(self, sample: Sample) -> np.ndarray:
        gray = self._rng(sample).integers(90, 160, (SIDE, SIDE), dtype=np.uint8) + 60 * self.mask(sample)
        return np.repeat(gray.astype(np.uint8)[:, :, None], 3, axis=2)

    def mask(self, sample: Sample) -> np.ndarray:
        mask = np.zeros((SIDE, SIDE), dtype=bool)
        if sample.anomalous:
            top, left = np.random.default_rng(int(sample.id[-5:])).integers(0, SIDE - DEFECT, 2)
            mask[top : top + DEFECT, left : left + DEFECT] = True
        return mask

    def digest(self, sample: Sample) -> str:
        return hashlib.sha256(sample.id.encode()).hexdigest()

    def revision(self) -> str:
        return "1"

    @staticmethod
    def _rng(sample: Sample) -> np.random.Generator:
        return np.random.default_rng(list(sample.id.encode()))


def run(images: int) -> dict[str, float]:
    """One unit in this process: its peak memory, what the process held before, and the seconds."""
    from adbench.engine.plan.protocol import Protocol
    from adbench.engine.plan.recipe import Recipe, complete
    from adbench.engine.plan.settings import Settings
    from adbench.engine.plan.unit import Unit
    from adbench.engine.run.runner import Runner
    from adbench.registration.registry import load_registry

    registry = load_registry()
    registry.add_component(Noise, "benchmarks", "1")
    parts = {"backbone": {"toy-pixels": {"cell": 2}}, "scorer": "toy-aligned-nearest", "preprocess": []}
    recipe = complete(Recipe.model_validate({"name": "toy", **parts}), registry)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(registry, Settings(Path(folder), batch_size=32))
        before, started = memory("VmRSS"), time.perf_counter()
        outcome = runner.run(Unit(recipe, Noise(images=images), "noise", 0, Protocol()))
    assert outcome is not None
    assert outcome.record.status == "ok", outcome.record.reason
    return {"peak": memory("VmHWM"), "before": before, "seconds": time.perf_counter() - started}


def memory(field: str) -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def in_own_process(images: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", str(images)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", metavar="N", default=[100, 1000, 10_000])
    parser.add_argument("--alone", type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(run(options.alone)))
        return
    print("  images   peak MB   above the start   against the first   seconds")
    first = 0.0
    for images in options.images:
        seen = in_own_process(images)
        first = first or seen["peak"]
        above, ratio = seen["peak"] - seen["before"], seen["peak"] / first
        print(f"{images:8,}{seen['peak']:10.0f}{above:18.0f}{ratio:20.3f}{seen['seconds']:10.1f}", flush=True)


if __name__ == "__main__":
    main()
