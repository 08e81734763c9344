"""The session of one ONNX file on ONNX Runtime; no other file is opened."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import UnknownName, UsageError, WeightsError
from adbench.weights import refuse_what_is_no_model

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions

LARGEST = 2 << 30
"""Bytes of a model file: an ONNX file is one protobuf message, which cannot be larger."""


KINDS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
"""Types of images and of outputs that can be layers, as ONNX Runtime and as NumPy call them."""

_OUTSIDE = re.compile(rb"\x0a\x08location\x12(.)", re.DOTALL)
"""In a model's bytes where the name of a file with weights begins; its length comes first."""


class DoesNotRunError(Exception):
    """The model rejects its input; the text is ONNX Runtime's."""


@dataclass(frozen=True)
class Model:
    """A model that is ready to run.

    Attributes:
        file: the file's name, for messages.
        sha256: of the file's content.
        session: the runtime's own object.
        input: name of the image input.
        shape: of the input as declared; a dimension that is free is None.
        kind: NumPy's name of the input's type.
        outputs: names of the outputs to compute, in order.
        left_out: names of outputs that were not named in the options and are neither maps nor tokens.
    """

    file: str
    sha256: str
    session: InferenceSession
    input: str
    shape: tuple[int | None, ...]
    kind: str
    outputs: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def compute(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs for images in the input's own layout.

        Raises:
            DoesNotRunError: the model does not take such images.
        """
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        try:
            found: list[np.ndarray] = self.session.run(list(self.outputs), {self.input: images.astype(self.kind)})
        except (errors.Fail, errors.InvalidArgument, errors.RuntimeException) as error:
            raise DoesNotRunError(_first_line(error)) from None
        return found


def open_model(path: Path, layers: tuple[str, ...], image_input: str | None, threads: int, device: str) -> Model:
    """Open a model file.

    Args:
        path: the file.
        layers: outputs to compute; all of them when empty.
        image_input: name of the input, or None for the only one.
        threads: CPU threads, 0 for as many as torch takes.
        device: ``"cpu"``, or ``"cuda"`` with or without a number.

    Raises:
        WeightsError: the file is not there, too large, no ONNX model, or keeps its weights in other files.
        UnknownName: no such output or input.
        UsageError: the input is no image, or the device is not there.
    """
    content = _read(path)
    session = _session(path, content, threads, device)
    declared = _input(path, session, image_input)
    known = {output.name: output for output in session.get_outputs()}
    for name in layers:
        if name not in known:
            raise UnknownName("output", name, known, f"of {path.name}")
    able = tuple(name for name, output in known.items() if _may_be_layer(output))
    return Model(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        session=session,
        input=declared.name,
        shape=tuple(size if isinstance(size, int) and size > 0 else None for size in declared.shape),
        kind=KINDS[declared.type],
        outputs=layers or able or tuple(known),
        left_out=() if layers or not able else tuple(name for name in known if name not in able),
    )


def _may_be_layer(output: Any) -> bool:
    """Whether an output is declared as maps, as tokens, or not at all."""
    return output.type in KINDS and len(output.shape or ()) in (0, 3, 4)


def _read(path: Path) -> bytes:
    """The file's bytes, so that exactly the hashed bytes run."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise WeightsError(f"{path}: {size} bytes are more than an ONNX file can have ({LARGEST}); export it again")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; give the path of an ONNX file: path=FILE") from None
    refuse_what_is_no_model(path)
    return content


def _session(path: Path, content: bytes, threads: int, device: str) -> InferenceSession:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(content, _options(threads), providers=_providers(device))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime's errors for a bad file have no common base
        outside = _OUTSIDE.search(content)
        if outside:
            name = content[outside.end() : outside.end() + outside[1][0]].decode(errors="replace")
            raise WeightsError(
                f"{path}: its weights lie in another file ({name!r}), which no record would know; write it with its"
                f" weights inside: onnx.save(onnx.load({path.name!r}), 'whole.onnx')"
            ) from None
        if "NOT_IMPLEMENTED" in str(error):
            raise WeightsError(
                f"{path}: ONNX Runtime has no code for one of its operators in its type; export it in float32"
                f" ({_first_line(error)})"
            ) from None
        raise WeightsError(
            f"{path}: ONNX Runtime cannot load it as a model: it is cut short, damaged, or something else; fetch or"
            f" export it again ({_first_line(error)})"
        ) from None


def _options(threads: int) -> SessionOptions:
    """Session options: quiet, repeatable, and without a folder for weights outside the file."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    # Its threads wait by spinning, which is fast within a run; after it they would take the cores from torch and faiss
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    return options


def _providers(device: str) -> list[Any]:
    """The providers for the requested device; never the CPU in place of a GPU."""
    import onnxruntime

    if not device.startswith("cuda"):
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise UsageError(
            f"backbone 'onnx': the ONNX Runtime installed here cannot use {device!r}; install onnxruntime-gpu in place"
            " of onnxruntime, or use --device cpu"
        )
    return [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}), "CPUExecutionProvider"]


def _input(path: Path, session: InferenceSession, name: str | None) -> Any:
    """The declaration of the image input."""
    declared = {one.name: one for one in session.get_inputs()}
    if name is None and len(declared) != 1:
        raise UsageError(f"{path.name}: its inputs are {', '.join(declared)}; name the image with input=NAME")
    if name is not None and name not in declared:
        raise UnknownName("input", name, declared, f"of {path.name}")
    found = declared[name or next(iter(declared))]
    if len(found.shape) != 4 or found.type not in KINDS:
        raise UsageError(
            f"{path.name}: input {found.name!r} is {found.type} of rank {len(found.shape)}; a backbone needs a floating"
            " point image of rank 4"
        )
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
