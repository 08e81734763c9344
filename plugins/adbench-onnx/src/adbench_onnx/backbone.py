"""The backbone of an ONNX model, whose named outputs are the layers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from adbench import Backbone, Batch, Component, Context, Features, Field, UsageError, Weights
from adbench.files import LocalFile
from adbench_onnx.input_form import GRAY

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench_onnx.detection import ModelForm, OutputOptions
    from adbench_onnx.recordable import RecordableModel
    from adbench_onnx.session import Model


class Onnx(Backbone):
    """Any ONNX model: its outputs of rank 4 (feature maps) and rank 3 (tokens) are the layers.

    Layout, size and number of the images that it takes, and how its outputs are laid out, are found out from what it
    declares and by letting noise through; a note says what was found. With exactly one output named in `layers`, that
    output is the patches as well. The image vector is the mean over the last layer's places.
    """

    name = "onnx"

    class Config(Component.Config):
        """The file, its outputs, and the form of its image input."""

        path: LocalFile = Field(description="the ONNX file")
        layers: tuple[str, ...] = Field((), description="outputs to use, joined by +; all of them when left out")
        input: str | None = Field(None, description="name of the image input; the only one when left out")
        mean: tuple[float, ...] = Field(
            (0.485, 0.456, 0.406), description="subtracted from values of 0 to 1: of RGB, or one for all"
        )
        std: tuple[float, ...] = Field((0.229, 0.224, 0.225), description="what they are then divided by")
        layout: Literal["auto", "nchw", "nhwc"] = Field(
            "auto", description="where outputs of rank 4 have their channels; auto: detected"
        )
        strip: int | None = Field(
            None,
            ge=0,
            description="leading tokens to drop from outputs of rank 3: class and registers; detected when left out",
        )
        grid: tuple[int, int] | None = Field(
            None, description="rows and columns of tokens; from the image when left out"
        )
        threads: int = Field(0, ge=0, le=256, description="CPU threads; 0: as many as torch")

        @field_validator("mean", "std")
        @classmethod
        def _one_or_three(cls, value: tuple[float, ...]) -> tuple[float, ...]:
            if len(value) not in (1, 3):
                raise ValueError("give one number, or three joined by +: red, green and blue")
            return value

    config: Config
    _model: Model
    _form: ModelForm
    _device: str
    _recordable: RecordableModel | None = None

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        """The layers, an image vector, and patches if exactly one output is named. The file itself is not read."""
        return frozenset({"layers", "image"} | ({"patches"} if len(config.layers) == 1 else set()))

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """Images of the size that the model takes; 256x256 if it takes any size."""
        neck = [] if len(config.layers) == 1 else ["concat-layers"]
        form = _detected_form(config)
        size = (256, 256) if form is None else form.input.size
        return {"preprocess": [{"resize": {"size": list(size)}}], "neck": neck}

    def identity(self) -> dict[str, Any]:
        """The identity of the options, with detected values in place of ``auto``: ``nchw``, no leading tokens."""
        options, form = super().identity(), _detected_form(self.config)
        if form is not None:
            maps, tokens = form.plain
            options["layout"] = "nchw" if maps and self.config.layout == "auto" else options["layout"]
            options["strip"] = 0 if tokens and self.config.strip is None else options["strip"]
        return options

    def prepare(self, ctx: Context) -> None:
        """Open the file on the context's device, and detect its inputs and outputs.

        Raises:
            WeightsError: it cannot be read, or is no ONNX model in one file.
            UnknownName, UsageError: `layers` or `input` do not fit the model, the device is not there, another runtime
                is asked for, or the model does not show how its outputs are laid out.
        """
        if ctx.runtime not in ("auto", "onnxruntime"):
            raise UsageError(f"{self.title}: it runs on ONNX Runtime, not on {ctx.runtime}; use --runtime auto")
        from adbench_onnx.detection import detect_form
        from adbench_onnx.session import open_model

        options = self.config
        self._model = open_model(options.path, options.layers, options.input, options.threads, ctx.device)
        self._form = detect_form(self._model, _output_options(options), named=bool(options.layers))
        self._device = ctx.device

    def weights(self) -> tuple[Weights, ...]:
        return (Weights(self._model.file, self._model.sha256),)

    @property
    def runtime(self) -> str:
        return "onnxruntime"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the detected form of the model."""
        return (f"{self.title}: {self._model.file}: {self._form}",)

    def extract(self, batch: Batch) -> Features:
        """Layers by output name.

        Raises:
            UsageError: the model does not take images of this size, or tokens make no grid.
        """
        size = int(batch.images.shape[2]), int(batch.images.shape[3])
        answers = self._answers if self._recordable is None else self._recordable.answers
        arrays = dict(zip(self._model.outputs, answers(batch.images, size), strict=True))
        layers = {name: self._layer(name, arrays[name], size) for name in self._form.outputs}
        patches = layers[self.config.layers[0]] if len(self.config.layers) == 1 else None
        image = list(layers.values())[-1].float().mean((1, 2))
        return Features(batch.ids, batch.geometry, patches, layers, image, images=batch.images)

    def for_export(self) -> Onnx:
        """The backbone whose model becomes part of the exported file.

        Raises:
            WeightsError: the model's file is gone, or has changed.
        """
        from adbench_onnx.recordable import RecordableModel

        twin = copy(self)
        twin._recordable = RecordableModel(self.config, self._model, self._form)  # noqa: SLF001  its own
        return twin

    def _answers(self, images: Tensor, size: tuple[int, int]) -> list[Tensor]:
        import torch

        from adbench_onnx.input_form import answers
        from adbench_onnx.session import DoesNotRunError

        form, reason = self._form.input, ""
        if form.fits(size):
            try:
                found = answers(self._model, form, self._normalised(images))
                return [torch.from_numpy(array).to(self._device) for array in found]
            except DoesNotRunError as error:
                reason = f" ({error})"
        height, width = form.size
        raise UsageError(
            f"{self.title}: {self._model.file} takes images of {height}x{width} pixels (height x width), not of"
            f" {size[0]}x{size[1]}; write --preprocess resize:size={height}+{width}{reason}"
        )

    def _normalised(self, images: Tensor) -> np.ndarray:
        """Normalised images [B, C, H, W], in NumPy: torch's spinning threads would take the cores from ONNX Runtime."""
        import numpy as np

        array: np.ndarray = images.detach().cpu().float().numpy()
        mean, std = (np.array(values, np.float32) for values in (self.config.mean, self.config.std))
        if self._form.input.channels == 1:
            array = np.tensordot(array, np.array(GRAY, np.float32), (1, 0))[:, None]
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        array = array - mean[:, None, None]
        array /= std[:, None, None]
        return array

    def _layer(self, name: str, array: Tensor, size: tuple[int, int]) -> Tensor:
        """One output as [B, H, W, C]."""
        from adbench_onnx.layouts import refuse

        try:
            found: Tensor = self._form.outputs[name].grid(array, size)
        except ValueError:
            raise refuse(self._model.file, name, tuple(array.shape)) from None
        return found


def _output_options(config: Any) -> OutputOptions:
    from adbench_onnx.detection import OutputOptions

    return OutputOptions(config.layout, config.strip, config.grid)


def _detected_form(config: Any) -> ModelForm | None:
    from adbench_onnx.detection import detected_form

    return detected_form(config.path, config.layers, config.input, _output_options(config))
