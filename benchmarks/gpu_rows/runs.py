"""Whole units: files to records, as `adbench run` does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
from memory import Noise

from adbench import Dataset
from adbench.builtin.folders.datasets import Folder
from adbench.engine.features.image_loader import ImageLoader, source_images
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete, components_of
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.run.runner import Runner
from adbench.engine.store.record import ResultRecord
from adbench.registration.registry import load_registry
from gpu_rows.line import Line, Sizes
from gpu_rows.measuring import graphed, once, seconds
from gpu_rows.scenes import draw

PEER = Path(__file__).parents[1] / "peers/anomalib_run.py"


def end_to_end(sizes: Sizes, device: str) -> Iterator[Line]:
    """A data set of the size of MVTec AD: each category from its files to all metrics and a record."""
    each = sizes.files // sizes.categories
    train = round(0.68 * each)
    recipe = dino(sizes, {"coreset": {"fraction": 0.1}})
    taken = reading = 0.0
    records: list[ResultRecord] = []
    with tempfile.TemporaryDirectory(prefix="adbench-gpu-") as folder:
        runner = made(Path(folder, "runs"), device, sizes)
        for number in range(sizes.categories):
            root, name = Path(folder, f"data{number}"), f"weave{number:02}"
            draw(root, name, train, each - train, sizes.file_side)  # not counted; files of one category at a time
            data = Folder(root=root)
            if not records:
                run(runner, recipe, data, name, limit=2)  # loads libraries
                reading = once(partial(read, recipe, data, name), "cpu") * sizes.categories
            taken += once(lambda: records.append(run(runner, recipe, data, name)), device)  # noqa: B023 - called here
            shutil.rmtree(root)
        small = Folder(root=Path(folder, "small"))
        draw(Path(folder, "small"), "weave", min(train, 20), 10, sizes.file_side)
        work = partial(run, runner, recipe, small, "weave")
        yield Line("end-to-end", taken, reading, note=shares(records, sizes), work=work)


def shares(records: list[ResultRecord], sizes: Sizes) -> str:
    """Where the time of the units went."""
    costs = [record.cost for record in records if record.cost]
    extract_s = sum(cost.extract_s for cost in costs)
    parts = {
        "features of the training images": extract_s,
        "coresets": sum(cost.fit_s for cost in costs) - extract_s,
        "test": sum(cost.test_s for cost in costs),
        "metrics": sum(cost.evaluate_s for cost in costs),
    }
    files = sum(record.task.train + record.task.test for record in records)
    told = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items())
    return f"{files:,} files of {sizes.file_side} px, {workers()} threads; {told}"


def patchcore(sizes: Sizes, device: str) -> Iterator[Line]:
    """PatchCore with a wide ResNet-50 and random weights; beside anomalib where that is installed."""
    train, test = sizes.patchcore
    size = sizes.patchcore_seen
    with tempfile.TemporaryDirectory(prefix="adbench-gpu-") as folder:
        root = Path(folder, "data")
        draw(root, "weave", train, test, sizes.patchcore_side)
        data = Folder(root=root)
        recipe = wide_resnet(size)
        runner = made(Path(folder, "runs"), device, sizes)
        run(runner, recipe, data, "weave", limit=2)  # loads libraries
        record = run(runner, recipe, data, "weave")
        theirs, told = peer(root / "weave", sizes, device)
        forward = bare_wide_resnet(size, sizes.batch, device)

        def work() -> ResultRecord:
            return run(runner, recipe, data, "weave", limit=20)

        cost = record.cost
        fit, each = theirs.get("fit_s"), theirs.get("ms_per_image", {}).get("p50")
        yield Line("patchcore-fit", cost.fit_s, train * forward, fit, told, work)
        yield Line("patchcore-test", 1e3 * cost.test_s / record.task.test, 1e3 * forward, each, told)


def memory(sizes: Sizes, device: str) -> Iterator[Line]:
    """The same method on few and on many test images. The bank is of one size."""
    peaks = [peaks_of(images, sizes, device) for images in (sizes.few, sizes.many)]
    (few, few_process), (many, many_process) = peaks
    if few is not None and many is not None:
        yield Line("memory", many, few)
    told = f"{sizes.few:,} and {sizes.many:,} test images"
    yield Line("memory-process", many_process, few_process, note=told)


def peaks_of(images: int, sizes: Sizes, device: str) -> tuple[float | None, float]:
    """MB of the card and of the process, as the record has them."""
    recipe = dino(sizes, {"coreset": {"count": 1000 if sizes.model == "small" else 10}})
    with tempfile.TemporaryDirectory(prefix="adbench-gpu-") as folder:
        cost = run(made(Path(folder), device, sizes), recipe, Noise(images=images), "noise").cost
    return cost.peak_gpu_mb, cost.peak_memory_mb


def dino(sizes: Sizes, bank: Mapping[str, Any]) -> Recipe:
    """DINOv3 with random weights and nearest neighbours."""
    options = {"size": sizes.model, "weights": "random", "precision": "bfloat16", "resolution": sizes.side}
    return _completed({"recipe": "dino", "backbone": {"dinov3": options}, "bank": bank, "scorer": "knn"})


def wide_resnet(side: int) -> Recipe:
    """PatchCore as anomalib has it, but for the projection of the coreset."""
    return _completed(
        {
            "recipe": "patchcore",
            "preprocess": [{"resize": {"size": [side, side], "precision": "float"}}],
            "backbone": {"wide-resnet50": {"weights": "random"}},
            "neck": [{"patchify": {"size": 3}}, {"concat-layers": {}}],
            "bank": {"coreset": {"fraction": 0.1, "projection": "sparse"}},
            "scorer": {"knn": {"reweight": 9, "reweight_form": "anomalib"}},
        }
    )


def _completed(parts: Mapping[str, Any]) -> Recipe:
    return complete(Recipe.model_validate(dict(parts)), load_registry())


def workers() -> int:
    """Threads that read files."""
    return max(2, min(16, os.cpu_count() or 2))


def made(out: Path, device: str, sizes: Sizes) -> Runner:
    """What runs units; a backbone stays loaded in it."""
    registry = load_registry()
    registry.add_component(Noise, "benchmarks", "1")
    return Runner(registry, Settings(out, device=device, batch_size=sizes.batch, workers=workers(), figures=False))


def run(runner: Runner, recipe: Recipe, data: Dataset, category: str, limit: int | None = None) -> ResultRecord:
    """One unit from files to its record.

    Args:
        runner: in which a backbone stays loaded.
        recipe, data, category: the method and the images.
        limit: training images, and test images of each folder; None for all.

    Raises:
        RuntimeError: it did not end well.
    """
    protocol = Protocol(limit_train=limit, limit_test=limit)
    outcome = runner.run(Unit(recipe, data, category, 0, protocol))
    if outcome is None or outcome.record.cost is None:
        raise RuntimeError(outcome.record.reason if outcome else "another process is at it")
    return outcome.record


def read(recipe: Recipe, data: Dataset, category: str) -> None:
    """Read and prepare all files of a category, and nothing else."""
    split = data.split(category)
    samples = [*split.train, *split.test]
    steps = components_of(recipe, load_registry())["preprocess"]
    images = source_images(data, samples, {sample.id: sample.id for sample in samples}, {})
    for _ in ImageLoader(steps, 32, workers()).batches(images):
        pass


def bare_wide_resnet(side: int, count: int, device: str) -> float:
    """Seconds an image of the layers alone, on normalised images that lie on the device."""
    options = {"features_only": True, "out_indices": (2, 3)}
    model = timm.create_model("wide_resnet50_2", **options).eval().requires_grad_(requires_grad=False)
    model = model.to(device, memory_format=torch.channels_last)
    images = torch.randn(count, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)

    def forward() -> Any:
        with torch.no_grad():
            return model(images)

    forward()
    return seconds(graphed(forward, device), device, 5) / count


def peer(category: Path, sizes: Sizes, device: str) -> tuple[dict[str, Any], str]:
    """What anomalib takes for the same files, and what there is to say about it."""
    if find_spec("anomalib") is None:
        return {}, "anomalib is not installed here"
    asked = ["--method", "patchcore-wide", "--data", category, "--side", str(sizes.patchcore_seen), "--device", device]
    command, seconds = [sys.executable, PEER, *asked], sizes.peer_seconds
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {}, f"anomalib {version('anomalib')} was stopped after {seconds:g} s"
    if done.returncode:
        return {}, f"anomalib failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1][:200]}"
    cost = json.loads(done.stdout.splitlines()[-1])["cost"]
    told = f"fit {cost['fit_s']:.2f} s, {cost['ms_per_image']['p50']:.2f} ms an image"
    return cost, f"anomalib {version('anomalib')}: {told}"
