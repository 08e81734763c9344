"""How fast backbones go on a CPU: torch, ONNX Runtime and OpenVINO, bare and inside adbench.

    python benchmarks/backbones.py [--size 256] [--batch 1 8] [--threads 2] [--rounds 5] [--weights ../shared/weights]

EfficientNet-Lite0 up to stride 16, and the ResNet-50 v2 trunk ``resnet50v2_stages123.onnx`` where the folder has it.
Rows that begin with "adbench" are `Backbone.extract`: they normalise and hand over features; "bare" rows are a runtime
alone on normalised images in memory. Rounds of all rows alternate, so that whatever else the machine does meets all of
them; the best round counts. Differences from torch (the ResNet: from ONNX Runtime) are relative, by norm.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from adbench_onnx.backbone import Onnx
from adbench_timm.folding import fold_batch_norms
from adbench_timm.models import EfficientNetLite0
from adbench_timm.packaged import packaged_weights
from torch import Tensor, nn

from adbench import Batch, Context, Geometry
from adbench.api.networks.exports import exported, opened
from adbench.api.networks.runtime import relative_error
from adbench.weights import WeightsSource

RESNET = "resnet50v2_stages123.onnx"
MEAN, STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]


class Stages(nn.Module):
    """The stages of stride 8 and 16, run as timm runs them, or prepared as the plugin does."""

    def __init__(self, *, folded: bool = False, last: bool = False) -> None:
        super().__init__()
        self.model, state = EfficientNetLite0().model_and_state(WeightsSource(packaged_weights(), "packaged", 0))
        self.model.load_state_dict(state)
        self.eval().requires_grad_(requires_grad=False)
        if folded:
            fold_batch_norms(self)
        if last:
            self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.model.forward_intermediates(images, indices=[2, 3], stop_early=True, intermediates_only=True)


def efficientnet(images: Tensor, cache: Path):
    """What is compared: callables that give the same two maps [B, C, H, W]."""
    ready = (images - 0.5) / 0.5
    last = ready.contiguous(memory_format=torch.channels_last)
    prepared = Stages(folded=True)
    content = exported(prepared, ready[:1])
    found = {
        "plain timm, to stride 16": partial(Stages(), ready),
        "+ channels-last": partial(Stages(last=True), last),
        "+ folded": partial(prepared, ready),
        "+ folded, channels-last": partial(Stages(folded=True, last=True), last),
        "bare onnxruntime": partial(opened("onnxruntime", content, torch.get_num_threads()), ready),
        "bare openvino": partial(opened("openvino", content, torch.get_num_threads()), ready),
    }
    for runtime in ("torch", "onnxruntime", "openvino", "auto"):
        backbone = EfficientNetLite0()
        backbone.prepare(Context(runtime=runtime, cache=cache))
        title = f"adbench, {runtime}"
        if runtime == "auto":
            backbone.extract(as_batch(images))
            title += f": {backbone.runtime}"
        found[title] = partial(layers_of, backbone, images)
    return found


def resnet(images: Tensor, path: Path):
    """The ONNX file in both runtimes and in the plugin."""
    import onnxruntime
    import openvino

    ready = ((images - MEAN) / STD).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, ["layer2", "layer3"]
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    backbone = Onnx(path=path, layers=outputs)
    backbone.prepare(Context())
    return {
        "bare onnxruntime": lambda: list(map(torch.from_numpy, session.run(outputs, {name: ready}))),
        "bare openvino": lambda: [torch.from_numpy(compiled([ready])[output]) for output in outputs],
        "adbench, onnx": lambda: layers_of(backbone, images),
    }


def as_batch(images: Tensor) -> Batch:
    ids = tuple(map(str, range(len(images))))
    return Batch(ids, images, (Geometry.whole(*images.shape[2:]),) * len(images))


def layers_of(backbone, images: Tensor) -> list[Tensor]:
    return [layer.permute(0, 3, 1, 2) for layer in backbone.extract(as_batch(images)).layers.values()]


def milliseconds(work) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def show(title: str, compared, count: int, rounds: int) -> None:
    """Measure and print one table; ratios are to the bare ONNX Runtime."""
    best = dict.fromkeys(compared, float("inf"))
    for _ in range(rounds + 1):  # the first round may only warm up: it is slower than the best
        for name, work in compared.items():
            best[name] = min(best[name], milliseconds(work) / count)
    wanted = next(iter(compared.values()))()
    print(f"\n{title}, batch {count}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, spent in best.items():
        off = relative_error([found.contiguous() for found in compared[name]()], wanted)
        ratio = spent / best["bare onnxruntime"]
        print(f"{name:28} {spent:7.1f} ms an image {1e3 / spent:7.1f} images/s {ratio:6.2f}x   differs by {off:.0e}")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in {"size": 256, "threads": 2, "rounds": 5}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--weights", type=Path, default=Path(__file__).parents[2] / "shared" / "weights")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for count in given.batch:
        images = torch.rand(count, 3, given.size, given.size, generator=torch.Generator().manual_seed(0))
        with tempfile.TemporaryDirectory() as cache:
            show(f"EfficientNet-Lite0, {given.size} px", efficientnet(images, Path(cache)), count, given.rounds)
        if (given.weights / RESNET).is_file():
            show(f"ResNet-50 v2 trunk, {given.size} px", resnet(images, given.weights / RESNET), count, given.rounds)


if __name__ == "__main__":
    main()
