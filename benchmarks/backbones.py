"""How fast the trunk of EfficientNet-Lite0 goes: plain timm, the plugin's way of running it, and ONNX Runtime.

    python benchmarks/backbones.py [--size 256] [--batch 8] [--threads 2] [--rounds 5]

Rounds of all variants alternate, so that whatever else the machine does meets all of them; the best round counts.
Differences are relative to the largest feature. ONNX Runtime takes part where onnx and onnxruntime are installed.
"""

from __future__ import annotations

import argparse
import io
import time
import warnings
from importlib.util import find_spec

import torch
from adbench_timm.folding import fold_batch_norms
from adbench_timm.models import EfficientNetLite0
from adbench_timm.packaged import packaged_weights
from torch import Tensor, nn

from adbench import Batch, Context, Geometry, read_state_dict


class Stages(nn.Module):
    """The stages of stride 8 and 16, run as timm runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = EfficientNetLite0().loaded(read_state_dict(packaged_weights()))
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.model.forward_intermediates(images, indices=[2, 3], stop_early=True, intermediates_only=True)


def variants(images: Tensor):
    """What is compared: callables that give the same two maps."""
    ready, plain, folded, both = (
        (images - 0.5) / 0.5,
        Stages(),
        Stages(),
        Stages().to(memory_format=torch.channels_last),
    )
    fold_batch_norms(folded)
    fold_batch_norms(both)
    last = ready.contiguous(memory_format=torch.channels_last)
    lasting = Stages().to(memory_format=torch.channels_last)
    backbone = EfficientNetLite0()
    backbone.prepare(Context())
    batch = Batch(tuple(map(str, range(len(images)))), images, (Geometry.whole(*images.shape[2:]),) * len(images))
    found = {
        "plain timm, whole model": lambda: plain.model(ready),
        "plain timm, to stride 16": lambda: plain(ready),
        "+ channels-last": lambda: lasting(last),
        "+ folded": lambda: folded(ready),
        "+ folded, channels-last": lambda: both(last),
        "adbench (also slices, normalises)": lambda: [
            layer.permute(0, 3, 1, 2) for layer in backbone.extract(batch).layers.values()
        ],
    }
    if find_spec("onnx") and find_spec("onnxruntime"):
        found["ONNX Runtime"] = onnx_runtime(plain, ready)
    return found


def onnx_runtime(model: nn.Module, images: Tensor):
    import onnxruntime

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (images[:1],),
            file,
            dynamo=False,
            input_names=["x"],
            output_names=["a", "b"],
            dynamic_axes={"x": {0: "n"}},
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    running = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: [torch.from_numpy(found) for found in running.run(None, {"x": images.numpy()})]


def milliseconds(work) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def difference(found: list[Tensor], wanted: list[Tensor]) -> float:
    return max(float((f - w).abs().max() / w.abs().max()) for f, w in zip(found, wanted, strict=True))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in {"size": 256, "batch": 8, "threads": 2, "rounds": 5}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    images = torch.rand(given.batch, 3, given.size, given.size, generator=torch.Generator().manual_seed(0))
    compared = variants(images)
    wanted = compared["plain timm, to stride 16"]()
    best = dict.fromkeys(compared, float("inf"))
    for _ in range(given.rounds + 1):  # the first round may only warm up: it is slower than the best
        for name, work in compared.items():
            best[name] = min(best[name], milliseconds(work) / given.batch)
    print(f"{given.size} px, batch {given.batch}, {given.threads} threads, torch {torch.__version__}")
    for name, spent in best.items():
        off = "" if "whole" in name else f"   differs by {difference(compared[name](), wanted):.0e}"
        print(f"{name:36} {spent:7.1f} ms an image {1e3 / spent:7.1f} images/s{off}")


if __name__ == "__main__":
    main()
