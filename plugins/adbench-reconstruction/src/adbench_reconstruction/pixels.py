"""The backbone whose features are the pixels themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adbench import Backbone, Component, Features, Field, UsageError

if TYPE_CHECKING:
    from adbench import Batch, Weights


class Pixels(Backbone):
    """Patches are the pixels of the prepared image, red, green and blue from 0 to 1, or the means of square cells."""

    name = "pixels"
    plain = True

    class Config(Component.Config):
        """The size of a patch."""

        cell: int = Field(1, ge=1, description="side of a patch in pixels; a patch is the mean of so many squared")

    config: Config

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """Images of 128 x 128 patches."""
        return {"preprocess": [{"resize": {"size": [128 * config.cell] * 2}}]}

    def extract(self, batch: Batch) -> Features:
        """Patches [B, H0 / cell, W0 / cell, 3] float32, the grid of the image itself by default.

        Raises:
            UsageError: the image cannot be cut into cells.
        """
        from torch.nn.functional import avg_pool2d

        cell, (height, width) = self.config.cell, batch.images.shape[-2:]
        if height % cell or width % cell:
            raise UsageError(
                f"{self.title}: {height}x{width} pixels cannot be cut into cells of {cell}x{cell}; resize to multiples"
                f" of {cell}, or add the preprocessor 'crop-to-multiple' with of={cell}"
            )
        images = batch.images.float() if cell == 1 else avg_pool2d(batch.images.float(), cell)
        return Features(batch.ids, batch.geometry, patches=images.permute(0, 2, 3, 1).contiguous())

    def weights(self) -> tuple[Weights, ...]:
        return ()
