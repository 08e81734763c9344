"""anomalib's prediction of a folder of images with Patchcore; prints one line of JSON: milliseconds an image by way.

Runs in the environment that ``scripts/peers`` makes, for `benchmarks/detector/many_files.py`. The model is that of
`anomalib_run.py`. ``Engine.predict`` scores the folder in batches of one, its default; the OpenVINO inferencer scores
file by file, and is left out where OpenVINO is not installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_run import SIZE, folder, link_first, patchcore, stdout_to_stderr

if TYPE_CHECKING:
    from anomalib.engine import Engine


def main() -> None:
    options = argparse.ArgumentParser(description="anomalib's prediction of a folder")
    options.add_argument("--data", type=Path, required=True, help="a category in MVTec AD's layout")
    options.add_argument("--images", type=Path, required=True, help="the folder to score")
    given = options.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch, stdout_to_stderr():
        link_first(given.data, Path(scratch, "data"), None, None)
        found = run(Path(scratch), given.images)
    sys.stdout.write(json.dumps(found) + "\n")


def run(scratch: Path, images: Path) -> dict[str, float | str]:
    from anomalib.data import PredictDataset
    from anomalib.engine import Engine

    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    engine = Engine(default_root_dir=scratch / "engine", accelerator="cpu", devices=1, **quiet)
    model, count = patchcore(SIZE), len(list(images.iterdir()))
    engine.fit(model=model, datamodule=folder(scratch / "data", 32))
    dataset = PredictDataset(path=images, image_size=SIZE)
    ways = {"Engine.predict": lambda: engine.predict(model=model, dataset=dataset, return_predictions=True)}
    if find_spec("openvino"):
        ways["OpenVINO inferencer"] = by_openvino(engine, model, scratch, images)
    return {name: milliseconds(way, count) for name, way in ways.items()}


def by_openvino(engine: Engine, model: Any, scratch: Path, images: Path) -> Callable[[], object]:
    from anomalib.deploy import ExportType, OpenVINOInferencer

    path = engine.export(model=model, export_type=ExportType.OPENVINO, export_root=scratch, input_size=SIZE)
    inferencer = OpenVINOInferencer(path=path, device="CPU")
    return lambda: [inferencer.predict(image) for image in sorted(images.iterdir())]


def milliseconds(work: Callable[[], object], count: int) -> float | str:
    """Milliseconds an image; or why there are none: with torch 2.14 the exported model wants batches of two."""
    started = time.perf_counter()
    try:
        work()
    except RuntimeError as error:
        return str(error).strip().splitlines()[-1]
    return 1e3 * (time.perf_counter() - started) / count


if __name__ == "__main__":
    main()
