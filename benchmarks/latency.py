"""PatchCore-lite's test time an image on a CPU, against the bare forward of its backbone on the same images in memory.

    python benchmarks/latency.py [--data ../shared/data/magnetic-tile] [--train 100] [--test 20] [--rounds 3]

The test time is a record's: reading, preparing, seeing, searching, the image score; batches of 8. Once the images come
from their files and once they are decoded already. The bare forward is ONNX Runtime on prepared batches of 8, with the
network as adbench exports it. `--runtime auto` takes the faster of the two runtimes. Rounds alternate and the best of
each counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from backbones import Stages

from adbench import Sample
from adbench.api.networks.exports import exported, opened
from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import complete, read_recipe
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.run.runner import Runner
from adbench.registration.registry import Registry, load_registry

BATCH = 8


class InMemory(Folder):
    """The same images, decoded once."""

    name = "in-memory"

    @cached_property
    def decoded(self) -> dict[str, np.ndarray]:
        return {}

    def image(self, sample: Sample) -> np.ndarray:
        if sample.id not in self.decoded:
            self.decoded[sample.id] = super().image(sample)
        return self.decoded[sample.id]


def known() -> Registry:
    registry = load_registry()
    registry.add_component(InMemory, "benchmarks", "1")
    return registry


def unit(dataset: Folder, train: int, test: int) -> Unit:
    registry = known()
    recipe = complete(read_recipe(registry.recipe("patchcore-lite").path), registry)
    return Unit(recipe, dataset, dataset.categories()[0], 0, Protocol(limit_train=train, limit_test=test))


def test_time(what: Unit, runtime: str) -> float:
    """Milliseconds an image, as the record has it for the whole test set."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Path(folder), batch_size=BATCH, figures=False, runtime=runtime)
        outcome = Runner(known(), settings).run(what)
    assert outcome is not None
    assert outcome.record.cost is not None, outcome.record.reason
    return 1e3 * outcome.record.cost.test_s / outcome.record.task.test


def bare_forward(images: int) -> float:
    """Milliseconds an image."""
    batch = torch.rand(BATCH, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    compute = opened("onnxruntime", exported(Stages(folded=True), batch[:1]), torch.get_num_threads())
    compute(batch)
    begin = time.perf_counter()
    for _ in range(0, images, BATCH):
        compute(batch)
    return 1e3 * (time.perf_counter() - begin) / (-(-images // BATCH) * BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/magnetic-tile")
    for option, default in {"train": 100, "test": 20, "rounds": 3}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    decoded = InMemory(root=given.data)
    in_files = Folder(root=given.data)
    rows = {"bare ONNX Runtime forward": lambda: bare_forward(240)}
    for runtime in ("onnxruntime", "openvino"):
        for where, dataset in (("memory", decoded), ("files", in_files)):
            what = unit(dataset, given.train, given.test)
            rows[f"adbench, {runtime}, images in {where}"] = partial(test_time, what, runtime)
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(given.rounds):
        for name, measure in rows.items():
            best[name] = min(best[name], measure())
    for name, spent in best.items():
        print(f"{name:40} {spent:6.1f} ms an image {spent / best['bare ONNX Runtime forward']:6.2f}x")


if __name__ == "__main__":
    main()
