"""anomalib's reverse distillation on one category, trained by its own Engine; prints one line of JSON.

Runs in the environment that ``scripts/peers`` makes. The frozen encoder is an ONNX file of a ResNet-50, as on adbench's
side: no weights of timm's can be downloaded where this was measured.
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
from pathlib import Path

import torch
from anomalib_run import folder, link_first, measure, quantiles, stdout_to_stderr, test
from torch import Tensor, nn

LAYERS = ("layer1", "layer2", "layer3")


class OnnxEncoder(nn.Module):
    """The layers of an ONNX file, in place of anomalib's encoder."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        (name,) = (each.name for each in self._session.get_inputs())
        found = self._session.run(list(LAYERS), {name: images.numpy()})
        return dict(zip(LAYERS, map(torch.from_numpy, found), strict=True))


def main() -> None:
    arguments = parse()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        link_first(arguments.data, Path(scratch, "data"), None, None)
        report = run(Path(scratch), arguments)
    sys.stdout.write(json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="anomalib's reverse distillation")
    parser.add_argument("--data", type=Path, required=True, help="a category")
    parser.add_argument("--onnx", type=Path, required=True, help="the encoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--side", type=int, required=True, help="of the prepared images in pixels")
    return parser.parse_args()


def run(scratch: Path, arguments: argparse.Namespace) -> dict[str, object]:
    from anomalib.engine import Engine
    from lightning import seed_everything

    seed_everything(arguments.seed, verbose=False)
    model = reverse_distillation(arguments)
    data = folder(scratch / "data", arguments.batch)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    engine = Engine(
        default_root_dir=scratch / "engine",
        accelerator="cpu",
        devices=1,
        max_steps=arguments.steps,
        max_epochs=-1,
        **quiet,
    )
    start = time.perf_counter()
    with stdout_to_stderr():
        engine.fit(model=model, datamodule=data)
    fit_s = time.perf_counter() - start
    assert engine.trainer.global_step == arguments.steps
    judged, ms = test(model, data, "cpu")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = {"fit_s": fit_s, "ms_per_image": quantiles(ms), "peak_memory_mb": peak_mb}
    for batch in judged:
        batch.pred_score = batch.pred_score.flatten()
    return {"who": "anomalib", "seed": arguments.seed, "metrics": measure(judged), "cost": cost}


def reverse_distillation(arguments: argparse.Namespace) -> nn.Module:
    from anomalib.models import ReverseDistillation
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    resize = Resize((arguments.side, arguments.side), antialias=True)
    transform = Compose([resize, Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])])
    off = {"post_processor": False, "evaluator": False, "visualizer": False}
    model = ReverseDistillation(
        backbone="resnet50", layers=LAYERS, pre_trained=False, pre_processor=PreProcessor(transform), **off
    )
    model.model.encoder = OnnxEncoder(arguments.onnx)
    return model


if __name__ == "__main__":
    main()
