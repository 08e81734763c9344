"""What corrupted test images cost beside the bare forwards of the same images, and how the corruptions look.

    python benchmarks/corruptions.py PATH --category hazelnut       patchcore-lite on a folder in MVTec AD's layout
    python benchmarks/corruptions.py PATH --recipe R
    python benchmarks/corruptions.py demo --sheet corruptions.jpg   no measurement: a picture of every corruption

The bare forwards read, corrupt and prepare every image and put it through the backbone. The whole adds scoring, anomaly
maps, metrics and false alarms of all corruptions. Seconds of the processor are those of all threads of this process;
they are less disturbed by other programs than those of the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from adbench.cli.options import recipe_from
from adbench.engine.features.streams import ImageStream
from adbench.engine.images.corrupting import corrupted
from adbench.engine.images.corruption import EVERY, NAMES, STRENGTHS, Corruption
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import complete
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.run import robustness
from adbench.engine.run.runner import Runner
from adbench.registration.registry import installed

SIDE = 96


class Seconds:
    """Seconds of the clock and of the processor."""

    def __init__(self) -> None:
        self.clock = self.processor = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        before = time.perf_counter(), time.process_time()
        yield
        self.clock += time.perf_counter() - before[0]
        self.processor += time.process_time() - before[1]


def measure(unit: Unit, out: Path) -> None:
    forward, bare, whole = Seconds(), Seconds(), Seconds()
    report: Callable[..., Any] = robustness.CorruptionTest.report

    def timed(test: Any, prepared: Any, *rest: Any) -> Any:
        backbone, images = prepared.reader.backbone, robustness.corrupted_images(prepared)
        extract = backbone.extract

        def extracting(batch: Any) -> Any:
            with forward.measured():
                return extract(batch)

        with patch.object(backbone, "extract", extracting), bare.measured():
            for _ in ImageStream(prepared.reader_in(None), images).batches():
                pass
        with whole.measured():
            return report(test, prepared, *rest)

    with patch.object(robustness.CorruptionTest, "report", timed):
        outcome = Runner(installed(), Settings(out, figures=False, threshold=Rule())).run(unit)
    assert outcome is not None, "nobody else runs it"
    images = outcome.record.task.test * len(unit.corruptions)
    print(f"{unit.recipe.name} on {unit.category}: {outcome.record.task.test} images, {images} corrupted ones")
    print(f"{'':34}{'clock s':>9}{'ratio':>7}{'processor s':>13}{'ratio':>7}")
    rows = {"the backbone alone": forward, "bare forwards": bare, "the whole report": whole}
    for name, seconds in rows.items():
        ratios = seconds.clock / bare.clock, seconds.processor / bare.processor
        print(f"{name:34}{seconds.clock:9.1f}{ratios[0]:7.2f}{seconds.processor:13.1f}{ratios[1]:7.2f}")


def sheet(image: np.ndarray, content: str) -> Image.Image:
    """A row for each corruption, with its strengths from left to right, and the image itself in front."""
    whole = Image.new("RGB", ((len(STRENGTHS) + 1) * SIDE, len(NAMES) * SIDE))
    for row, name in enumerate(NAMES):
        versions = [image, *(corrupted(image, Corruption(name, strength), content) for strength in STRENGTHS)]
        for column, version in enumerate(versions):
            small = Image.fromarray(version).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            whole.paste(small, (column * SIDE, row * SIDE))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="demo", help="a dataset's name, or a folder")
    parser.add_argument("--category", help="default: the first")
    parser.add_argument("--recipe", default="patchcore-lite")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="only write this picture")
    chosen = parser.parse_args()
    registry = installed()
    dataset = dataset_from(registry, chosen.data)
    category = chosen.category or dataset.categories()[0]
    if chosen.sheet is not None:
        sample = next(sample for sample in dataset.split(category).test if sample.anomalous)
        sheet(dataset.image(sample), dataset.digest(sample)).save(chosen.sheet, quality=88)
        return
    recipe = complete(recipe_from(registry, chosen.recipe, {}), registry)
    with tempfile.TemporaryDirectory() as folder:
        measure(Unit(recipe, dataset, category, 0, Protocol(), EVERY), Path(folder))


if __name__ == "__main__":
    main()
