"""An ONNX model as a step of an exported file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from adbench import UsageError, WeightsError
from adbench.networks import EmbeddedModel
from adbench_onnx.input_form import GRAY

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_onnx.detection import ModelForm
    from adbench_onnx.session import Model


class RecordableModel:
    """A model whose images are normalised and laid out by tensor operations, and whose nodes an export takes over.

    Args:
        config: of the backbone.
        model: that it runs.
        form: of its input.

    Raises:
        WeightsError: the model's file is gone, or has changed.
    """

    def __init__(self, config: Any, model: Model, form: ModelForm) -> None:
        self._config, self._model, self._form = config, model, form.input
        self._embedded = EmbeddedModel(_content(config.path, model), model.input, model.outputs, self._compute)

    def answers(self, images: Tensor, size: tuple[int, int]) -> list[Tensor]:
        """All outputs for images [B, 3, H, W] of 0 to 1.

        Raises:
            UsageError: the model takes another number of images at once, or another size.
        """
        form = self._form
        if form.batch not in (None, len(images)):
            raise UsageError(
                f"backbone 'onnx' cannot be exported for {len(images)} images at once: {self._model.file} takes"
                f" {form.batch}; use --batch {form.batch}, and no tiles"
            )
        if not form.fits(size):
            raise UsageError(f"{self._model.file} takes images of {form.size[0]}x{form.size[1]} pixels alone")
        return self._embedded(self._laid_out(images))

    def _laid_out(self, images: Tensor) -> Tensor:
        """Normalised images in the model's layout and type."""
        import torch

        mean, std = torch.tensor(self._config.mean), torch.tensor(self._config.std)
        images = images.float()
        if self._form.channels == 1:
            images = (images * torch.tensor(GRAY)[:, None, None]).sum(1, keepdim=True)
            mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        images = (images - mean[:, None, None]) / std[:, None, None]
        images = images.permute(0, 2, 3, 1) if self._form.channels_last else images
        return images.to(getattr(torch, self._model.kind))

    def _compute(self, images: Tensor) -> list[Tensor]:
        import torch

        return [torch.from_numpy(array) for array in self._model.compute(images.numpy())]


def _content(path: Any, model: Model) -> bytes:
    """The bytes of the model's file."""
    try:
        content: bytes = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; put the model back to export the detector") from None
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise WeightsError(f"{path}: it is not the model that the detector runs; put that one back to export it")
    return content
