"""The ignore mask in a detector's file: one bit a pixel, and what the description says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adbench.datasets import IgnoreMask
from adbench.detector.store.description import IgnoreInfo

if TYPE_CHECKING:
    from torch import Tensor


def ignore_info(mask: IgnoreMask) -> IgnoreInfo:
    """What a description says of an ignore mask."""
    height, width = mask.pixels.shape
    return IgnoreInfo(name=mask.name, height=height, width=width, sha256=mask.digest)


def packed_bits(mask: IgnoreMask) -> Tensor:
    """[ceil(H W / 8)] uint8: the pixels in row order, the first one in the highest bit."""
    import torch

    return torch.from_numpy(np.packbits(mask.pixels))


def unpacked_mask(bits: Tensor, info: IgnoreInfo) -> IgnoreMask:
    """The mask of `packed_bits`, which may come from a stranger.

    Raises:
        ValueError: the bits are not those that the description tells of.
        DataError: no pixel is marked, or all are.
    """
    count = info.height * info.width
    if bits.ndim != 1 or len(bits) != -(-count // 8):
        raise ValueError(f"it has {bits.numel()} bytes for {info.height} x {info.width} pixels")
    pixels = np.unpackbits(bits.numpy().astype(np.uint8), count=count).reshape(info.height, info.width).astype(bool)
    mask = IgnoreMask(pixels, info.name)
    if mask.digest != info.sha256:
        raise ValueError("its pixels are others than the description tells of")
    return mask
