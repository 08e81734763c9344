"""Resizing as two matrix products with constant matrices, which give what PyTorch's antialiased resize gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adbench import Geometry, Preprocessor, UsageError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT_BITS = 15
"""PyTorch's whole-numbered weights are below 2 to this power."""

MOST_BITS = 22
"""By no more than 2 to this power are weights multiplied to become whole numbers."""

EXACT_BITS = 24
"""Whole numbers of so many bits are exact in float32."""


class RecordableResize(Preprocessor):
    """The `Resize` of one image size, as two matrix products: along rows, then along columns.

    Images of 8 bits are resized by whole-numbered weights and rounded after each product, as PyTorch does it
    (``UpSampleKernel.cpp``, ``_compute_indices_int16_weights_aa``): the result is equal to the last bit. The matrices
    of a size are made when an image of it comes first, and kept: that has to be before an export records.
    """

    name = "recordable-resize"

    def __init__(self, resize: Any) -> None:
        super().__init__()
        self._resize, self._options = resize, resize.config
        self._kept: dict[tuple[int, int, bool], tuple[Tensor, int]] = {}

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        """The resized image, and its geometry.

        Raises:
            UsageError: the interpolation is one of those that have no matrix of this form.
        """
        size = self._resize.target(image.shape[1], image.shape[2])
        if size == tuple(image.shape[1:]):
            return image, geometry
        if self._options.interpolation == "nearest" or not self._options.antialias:
            raise UsageError(f"{self._resize.title} can be exported with antialias and without nearest only")
        in_levels = self._options.precision == "image" and not image.is_floating_point()
        resized = self._levels(image, size) if in_levels else self._fractions(image, size)
        return resized, geometry.resized(*size)

    def _fractions(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """[3, h, w] float32, 0 to 1."""
        image = image if image.is_floating_point() else image.float() / 255
        (rows, _), (columns, _) = (self._matrix(image.shape[axis + 1], size[axis], whole=False) for axis in (0, 1))
        resized = rows @ (image @ columns.T)
        return resized.clamp(0, 1) if self._options.interpolation == "bicubic" else resized

    def _levels(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """[3, h, w] uint8."""
        import torch

        levels = image.float()
        if size[1] != image.shape[2]:
            columns, bits = self._matrix(image.shape[2], size[1], whole=True)
            levels = rounded(levels.to(columns.dtype) @ columns.T, bits)
        if size[0] != image.shape[1]:
            rows, bits = self._matrix(image.shape[1], size[0], whole=True)
            levels = rounded(rows @ levels.to(rows.dtype), bits)
        return levels.to(torch.uint8)

    def _matrix(self, before: int, after: int, *, whole: bool) -> tuple[Tensor, int]:
        """[after, before]: the weights along one axis, and the bits by which they were shifted; kept."""
        key = before, after, whole
        if key not in self._kept:
            mode = self._options.interpolation
            self._kept[key] = (
                whole_weights(weights_of(before, after, mode, "float64"))
                if whole
                else (
                    weights_of(before, after, mode, "float32"),
                    0,
                )
            )
        return self._kept[key]


def weights_of(before: int, after: int, mode: str, precision: str) -> Tensor:
    """[after, before]: what PyTorch's antialiased resize does along one axis, found by resizing each unit vector."""
    import torch
    from torch.nn.functional import interpolate

    unit = torch.eye(before, dtype=getattr(torch, precision))[None, None]
    matrix: Tensor = interpolate(unit, size=(after, before), mode=mode, antialias=True)[0, 0]
    return matrix


def whole_weights(weights: Tensor) -> tuple[Tensor, int]:
    """Weights as whole numbers, and by which power of two they were multiplied.

    In float32 where all sums of products with levels are exact, else in float64.
    """
    import torch

    largest = float(weights.max())
    bits = next(
        b for b in range(MOST_BITS + 1) if b == MOST_BITS or int(0.5 + largest * 2 ** (b + 1)) >= 1 << WEIGHT_BITS
    )
    whole = (weights * 2**bits + torch.where(weights < 0, -0.5, 0.5)).trunc()
    exact = bits + 8 <= EXACT_BITS and bool((whole.abs().sum(1) * 255 < 2**EXACT_BITS).all())
    return (whole.float() if exact else whole), bits


def rounded(sums: Tensor, bits: int) -> Tensor:
    """Sums of whole-numbered weights as levels of 0 to 255, rounded half up."""
    return ((sums + 2.0 ** (bits - 1)) / 2.0**bits).floor().clamp(0, 255)
