"""The formats of exported files: the writer and the runtime of each."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from adbench.api.networks.exports import NEEDED, OPSET
from adbench.detector.export.embedding import DOMAIN, has_steps, with_embedded, with_steps
from adbench.errors import UsageError, printable

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

Format = Literal["onnx", "openvino", "torch"]
Facts = Mapping[str, str]
Score = Callable[["np.ndarray"], "list[np.ndarray]"]
"""Images [N, H, W, 3] to scores [N] and, where there are any, maps [N, H, W]."""

INPUT, OUTPUTS = "image", ("score", "map")

SUFFIXES: Mapping[str, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
"""How the name of a file of each format ends."""

_PACKAGES = {"onnx": NEEDED["onnxruntime"], "openvino": NEEDED["openvino"], "torch": ()}


class Recording(NamedTuple):
    """The recorded operations of a method for images of one size.

    Attributes:
        program: of PyTorch.
        blank: an image batch of that size.
        outputs: how many there are.
    """

    program: ExportedProgram
    blank: Tensor
    outputs: int


def require(form: Format) -> None:
    """Require the packages of a format.

    Raises:
        UsageError: they are not.
    """
    missing = [package for package in _PACKAGES[form] if find_spec(package) is None]
    if missing:
        extra = "openvino" if form == "openvino" else "onnxruntime"
        raise UsageError(f"--format {form} needs {' and '.join(missing)}; pip install 'adbench-core[{extra}]'")


def recorded(module: nn.Module, blank: Tensor, outputs: int) -> Recording:
    """Record the operations of a module on images of one size.

    Raises:
        UsageError: a step depends on what the images show.
    """
    try:
        with torch.no_grad():
            return Recording(torch.export.export(module.eval(), (blank,), strict=False), blank, outputs)
    except Exception as error:  # noqa: BLE001 - recording runs the components' own code on symbols
        first = (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
        raise UsageError(f"the method cannot be exported: a step depends on what an image shows ({first})") from None


def write(recording: Recording, form: Format, path: Path, facts: Facts) -> None:
    """Write a file of a format.

    Args:
        recording: of the method.
        form: the format.
        path: of the file; OpenVINO writes the weights beside it, as ``.bin``.
        facts: texts by name that the file holds.

    Raises:
        OSError: the file cannot be written.
    """
    {"onnx": _write_onnx, "openvino": _write_openvino, "torch": _write_torch}[form](recording, path, facts)


def _write_onnx(recording: Recording, path: Path, facts: Facts) -> None:
    onnx = import_module("onnx")
    model = onnx.load_from_string(onnx_bytes(recording))
    onnx.helper.set_model_props(model, dict(facts))
    path.write_bytes(model.SerializeToString())


def _write_openvino(recording: Recording, path: Path, facts: Facts) -> None:
    openvino = import_module("openvino")
    model = openvino.Core().read_model(onnx_bytes(recording))
    for name, value in facts.items():
        model.set_rt_info(value, ["adbench", name])
    openvino.save_model(model, path, compress_to_fp16=False)


def _write_torch(recording: Recording, path: Path, facts: Facts) -> None:
    if has_steps(recording.program):
        raise UsageError(
            "the backbone is an ONNX model, whose operations no file of torch can hold; take --format onnx or openvino"
        )
    with warnings.catch_warnings():  # torch doubts a tensor that is a part of another; the proof compares the scores
        warnings.filterwarnings("ignore", "No complete tensor found")
        torch.export.save(recording.program, path, extra_files=dict(facts))


def onnx_bytes(recording: Recording) -> bytes:
    """The recording as an ONNX model.

    Raises:
        UsageError: torch's exporter has no ONNX form of one of its operations.
    """
    file: Any = io.BytesIO()  # which torch takes, whatever its annotations say
    embeds = has_steps(recording.program)
    module = _Whole(recording.program.module(check_guards=False))
    quiet = patch.object(torch._C, "_jit_onnx_log")  # noqa: SLF001
    with warnings.catch_warnings(), torch.no_grad(), _with_expm1(), with_steps(), quiet:
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                (recording.blank,),
                file,
                dynamo=False,  # the newer exporter needs one more package
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS[: recording.outputs]),
                custom_opsets={DOMAIN: 1} if embeds else None,
            )
        except RuntimeError as error:  # the exporter's own errors are of this class, too
            first = printable(str(error).partition("\n")[0][:200])
            raise UsageError(f"torch cannot write this method as ONNX ({first}); take --format torch") from None
    content: bytes = file.getvalue()
    return with_embedded(content) if embeds else content


class _Whole(nn.Module):
    """A recorded program that ignores a change of its mode: the exporter sets that of every module."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self._program = (program,)

    def forward(self, images: Tensor) -> Any:
        return self._program[0](images)


@contextmanager
def _with_expm1() -> Iterator[None]:
    """Give the exporter exp(x) - 1, which ONNX lacks, as 2 t / (1 - t) with t = tanh(x / 2): exact also near 0."""

    def expm1(graph: Any, value: Any) -> Any:
        one, two = (graph.op("Constant", value_t=torch.tensor(number)) for number in (1.0, 2.0))
        half = graph.op("Tanh", graph.op("Div", value, two))
        return graph.op("Div", graph.op("Mul", half, two), graph.op("Sub", one, half))

    onnx: Any = torch.onnx
    onnx.register_custom_op_symbolic("aten::expm1", expm1, OPSET)
    try:
        yield
    finally:
        onnx.unregister_custom_op_symbolic("aten::expm1", OPSET)


def opened(form: Format, path: Path) -> Score:
    """A function that scores images with a file, by the runtime of its format alone."""
    return {"onnx": _open_onnx, "openvino": _open_openvino, "torch": _open_torch}[form](path)


def _open_onnx(path: Path) -> Score:
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: list(session.run(None, {INPUT: images}))


def _open_openvino(path: Path) -> Score:
    core = import_module("openvino").Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def score(images: np.ndarray) -> list[np.ndarray]:
        answer = compiled(images)
        return [answer[port].copy() for port in compiled.outputs]

    return score


def _open_torch(path: Path) -> Score:
    module = torch.export.load(path).module()

    def score(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [found.numpy() for found in module(torch.from_numpy(images))]

    return score
