"""Named outputs of an ONNX model as layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from adbench import Backbone, Batch, Component, Context, Features, Field, LocalFile, UsageError, Weights

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench_onnx.session import Model


class Onnx(Backbone):
    """Any ONNX model: its outputs of rank 4 (feature maps) and rank 3 (tokens) are the layers.

    With exactly one output named in `layers`, that output is the patches as well. The image vector is the mean over the
    last layer's places.
    """

    name = "onnx"

    class Config(Component.Config):
        """Which file, which outputs, and how images go in."""

        path: LocalFile = Field(description="the ONNX file")
        layers: tuple[str, ...] = Field((), description="outputs to use, joined by +; all of them when left out")
        input: str | None = Field(None, description="name of the image input; the only one when left out")
        mean: tuple[float, float, float] = Field(
            (0.485, 0.456, 0.406), description="subtracted from RGB values of 0 to 1"
        )
        std: tuple[float, float, float] = Field((0.229, 0.224, 0.225), description="what they are then divided by")
        layout: Literal["nchw", "nhwc"] = Field("nchw", description="where outputs of rank 4 have their channels")
        strip: int = Field(0, ge=0, description="leading tokens to drop from outputs of rank 3: class and registers")
        grid: tuple[int, int] | None = Field(
            None, description="rows and columns of tokens; from the image when left out"
        )
        threads: int = Field(0, ge=0, le=256, description="CPU threads; 0: as many as torch")

    config: Config
    _model: Model
    _device: str

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        """Layers, an image vector, patches where exactly one output is named. The file itself is not looked at."""
        return frozenset({"layers", "image"} | ({"patches"} if len(config.layers) == 1 else set()))

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        neck = [] if len(config.layers) == 1 else ["concat-layers"]
        return {"preprocess": [{"resize": {"size": [256, 256]}}], "neck": neck}

    def prepare(self, ctx: Context) -> None:
        """Open the file on the context's device.

        Raises:
            WeightsError: it cannot be read, or is no ONNX model in one file.
            UnknownName, UsageError: `layers` or `input` do not fit the model, the device is not there, or another
                runtime is asked for.
        """
        if ctx.runtime not in ("auto", "onnxruntime"):
            raise UsageError(f"{self.title}: it runs on ONNX Runtime, not on {ctx.runtime}; use --runtime auto")
        from adbench_onnx.session import open_model

        options = self.config
        self._model = open_model(options.path, options.layers, options.input, options.threads, ctx.device)
        self._device = ctx.device

    def weights(self) -> tuple[Weights, ...]:
        return (Weights(self._model.file, self._model.sha256),)

    @property
    def runtime(self) -> str:
        return "onnxruntime"

    def extract(self, batch: Batch) -> Features:
        """Layers by output name.

        Raises:
            UsageError: the model does not take images of this size, or an output is neither map nor tokens.
        """
        arrays = self._model.run(self._normalised(batch.images))
        size = batch.images.shape[2], batch.images.shape[3]
        layers = {name: self._layer(name, array, size) for name, array in zip(self._model.outputs, arrays, strict=True)}
        patches = layers[self.config.layers[0]] if len(self.config.layers) == 1 else None
        image = layers[self._model.outputs[-1]].float().mean((1, 2))
        return Features(batch.ids, batch.geometry, patches, layers, image, images=batch.images)

    def _normalised(self, images: Tensor) -> np.ndarray:
        """In NumPy: threads of torch, still spinning, would take the cores from ONNX Runtime's."""
        import numpy as np

        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.config.mean, self.config.std))
        array: np.ndarray = images.detach().cpu().float().numpy() - mean
        array /= std
        array = array.transpose(0, 2, 3, 1) if self._model.channels_last else array
        return np.ascontiguousarray(array, np.float16 if self._model.half else np.float32)

    def _layer(self, name: str, array: np.ndarray, size: tuple[int, int]) -> Tensor:
        """One output as [B, H, W, C] on the device."""
        import torch

        found = torch.from_numpy(array).to(self._device)
        if found.ndim == 4:
            return found.permute(0, 2, 3, 1) if self.config.layout == "nchw" else found
        if found.ndim == 3:
            tokens = found[:, self.config.strip :]
            return tokens.reshape(len(tokens), *self._grid(name, tokens.shape[1], size), -1)
        raise UsageError(
            f"{self.title}: output {name!r} of {self._model.file} has rank {found.ndim}; name outputs of rank 4 (maps)"
            " or 3 (tokens) with layers=NAME+NAME"
        )

    def _grid(self, name: str, tokens: int, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tokens: as told, or those of square patches that fill the image."""
        side = max(1, round(math.sqrt(size[0] * size[1] / max(1, tokens))))
        rows, columns = self.config.grid or (size[0] // side, size[1] // side)
        if rows * columns != tokens:
            raise UsageError(
                f"{self.title}: {tokens} tokens of output {name!r} do not make a grid of {rows}x{columns}; drop class"
                " and register tokens with strip=N, or give grid=ROWS+COLUMNS"
            )
        return rows, columns
