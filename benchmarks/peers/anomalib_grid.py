"""anomalib's benchmark pipeline on a grid: Patchcore with efficientnet-lite0, two coresets x three neighbourhoods.

Runs in the environment that ``scripts/peers`` makes. The jobs are anomalib's own `BenchmarkJob`, run one after another
as its `SerialRunner` does on a CPU; only the weights are put in by hand: its registry does not know the package.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from anomalib_run import LAYERS, SIZE, folder, packaged_weights, stdout_to_stderr

if TYPE_CHECKING:
    from anomalib.models import Patchcore

RATIOS = (0.01, 0.1)
NEIGHBOURS = (1, 3, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description="anomalib's benchmark pipeline, efficientnet-lite0")
    parser.add_argument("--data", type=Path, required=True, help="a folder of categories in MVTec AD's layout")
    data = parser.parse_args().data.resolve()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    from anomalib.pipelines.benchmark.job import BenchmarkJob

    results = []
    with tempfile.TemporaryDirectory() as scratch, stdout_to_stderr():
        os.chdir(scratch)
        for category in sorted(path for path in data.iterdir() if (path / "train").is_dir()):
            for ratio in RATIOS:
                for neighbours in NEIGHBOURS:
                    name = {"category": category.name, "ratio": ratio, "neighbours": neighbours}
                    data_module = folder(
                        category, 32, validation="same_as_test"
                    )  # as its MVTecAD has it; fit validates
                    job = BenchmarkJob("cpu", patchcore(ratio, neighbours), data_module, 0, name)
                    results.append(job.run())
        BenchmarkJob.save(BenchmarkJob.collect(results))
    sys.stdout.write(f"{len(results)} jobs\n")


def patchcore(ratio: float, neighbours: int) -> Patchcore:
    """The model with anomalib's own post-processing and evaluator; no pictures."""
    from anomalib.models import Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    transform = Compose([Resize(SIZE, antialias=True), Normalize(mean=[0.5] * 3, std=[0.5] * 3)])
    model = Patchcore(
        backbone="tf_efficientnet_lite0",
        layers=LAYERS,
        pre_trained=False,
        coreset_sampling_ratio=ratio,
        num_neighbors=neighbours,
        pre_processor=PreProcessor(transform),
        visualizer=False,
    )
    network = model.model.feature_extractor.feature_extractor
    weights = packaged_weights()
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return model


if __name__ == "__main__":
    main()
