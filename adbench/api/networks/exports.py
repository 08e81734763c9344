"""Networks as ONNX files: written once, kept, checked when read, and opened in ONNX Runtime or OpenVINO.

One file serves both runtimes. It holds the network for one height and width, so that tables which depend on the grid
(positions of a transformer) are constants in it, and for batches of any length.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.api.atomic_file import PRIVATE, atomic_write

if TYPE_CHECKING:
    from torch import Tensor, nn

    Compute = Callable[[Tensor], list[Tensor]]
    """Float32 images [B, 3, H, W] to tensors whose first dimension is B."""

OPSET = 17
STREAMS = 4
"""Images that OpenVINO computes at once, at most: with more streams than images, threads would have nothing to do."""

NEEDED: dict[str, tuple[str, ...]] = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
"""The runtimes other than torch, and the packages that each takes."""


def installed(runtime: str) -> bool:
    """Whether everything that a runtime needs is installed; nothing is imported for it."""
    return all(find_spec(package) is not None for package in NEEDED[runtime])


def digest_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of JSON-compatible facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def exported(module: nn.Module, image: Tensor) -> bytes:
    """A network as ONNX, for batches of images of this one's size.

    Args:
        module: in eval mode, on the CPU.
        image: [1, 3, H, W].
    """
    from unittest.mock import patch

    import torch

    file: Any = io.BytesIO()  # which torch takes, whatever its annotations say
    # patch: torch prints the whole graph of a network that it cannot export, whether asked to or not
    with warnings.catch_warnings(), torch.no_grad(), patch.object(torch._C, "_jit_onnx_log"):  # noqa: SLF001
        warnings.simplefilter("ignore")  # the tracer tells of every shape that it takes as constant
        # dynamo=False: the newer exporter needs one more package
        torch.onnx.export(
            module,
            (image,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )
    content: bytes = file.getvalue()
    return content


def write_checked(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, with a digest by which `read_checked` finds damage.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, hashlib.sha256(content).digest() + content, PRIVATE)


def read_checked(path: Path) -> bytes | None:
    """The content that `write_checked` wrote; None if it is missing or damaged."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, content = whole[:32], whole[32:]
    return content if hashlib.sha256(content).digest() == digest else None


def opened(runtime: str, content: bytes, threads: int) -> Compute:
    """A network in a runtime, on this many threads of the CPU, computing in float32."""
    return (_in_onnxruntime if runtime == "onnxruntime" else _in_openvino)(content, threads)


def _in_onnxruntime(content: bytes, threads: int) -> Compute:
    import torch

    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # the runtime's own choice would also pin them, each process to the same
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    # Its threads wait by spinning, which is fast within a run; after it they would take the cores from torch and others
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: [torch.from_numpy(found) for found in session.run(None, {"images": _array(images)})]


def _in_openvino(content: bytes, threads: int) -> Compute:
    """One image at a time, by all threads; of several images as many at once as there are streams.

    A batch of 8 images of 256 pixels takes a fifth more of the processor as a whole than image by image in streams: its
    maps do not fit the processor's caches, and threads wait for one another at each layer.
    """
    streams = min(threads, STREAMS)
    alone = cache(lambda: _InStreams(content, threads, 1))
    several = cache(lambda: _InStreams(content, threads, streams))

    def compute(images: Tensor) -> list[Tensor]:
        is_alone = streams == 1 or (len(images) == 1 and not several.cache_info().currsize)
        return (alone if is_alone else several)()(_array(images))

    return compute


class _InStreams:
    """A network in OpenVINO that computes some images at once.

    Args:
        content: of the ONNX file.
        threads: of all streams together.
        streams: how many images are computed at once; with a single stream a batch is computed as a whole.
    """

    def __init__(self, content: bytes, threads: int, streams: int) -> None:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 on processors that have it
            "ENABLE_CPU_PINNING": False,  # every process would pin its threads to the same cores
        }
        core = _openvino_core()
        compiled = core.compile_model(core.read_model(content), "CPU", settings)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._outputs = len(compiled.outputs)

    def __call__(self, images: Any) -> list[Tensor]:
        import torch

        streams, found = len(self._requests), list[Any]()
        parts = [images[place : place + 1] for place in range(len(images))] if streams > 1 else [images]
        if len(parts) == 1:
            self._requests[0].infer(parts, share_inputs=True, share_outputs=True)
            self._take(self._requests[0], found, 0, 1)
            parts = []
        for place in range(len(parts) + streams if parts else 0):
            request = self._requests[place % streams]
            if streams <= place:
                request.wait()
                self._take(request, found, place - streams, len(parts))
            if place < len(parts):
                request.start_async([parts[place]], share_inputs=True)
        return [torch.from_numpy(array) for array in found]

    def _take(self, request: Any, found: list[Any], place: int, parts: int) -> None:
        """Copy the answer for a part to its place among those of all parts: a request has room for one answer."""
        import numpy as np

        answer = [request.get_output_tensor(number).data for number in range(self._outputs)]
        if not found:
            found += [np.empty((parts * len(one), *one.shape[1:]), one.dtype) for one in answer]
        for whole, one in zip(found, answer, strict=True):
            whole[place * len(one) : (place + 1) * len(one)] = one


@cache
def _openvino_core() -> Any:
    """One for the life of the process: each sets an alternate signal stack when it starts and puts back the one before
    when it goes, so that several leave the process a stack that is gone, and the next signal ends it.
    """
    return import_module("openvino").Core()


def _array(images: Tensor) -> Any:
    return images.contiguous().numpy()
