"""The patches of a stream, batch by batch, checked before a bank learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from adbench import DataError
from adbench.banks import checked_batches

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import FeatureStream


def patches_of(features: FeatureStream, device: str, who: str) -> Iterator[Tensor]:
    """The patches [B, H, W, C] float32 of each batch, on the device.

    Args:
        features: the stream.
        device: where the patches go.
        who: the component that asks, as messages write it.

    Raises:
        DataError: the stream is empty.
        ContractError: there are no patches, their channels change, or some are not finite; the image is named.
    """
    for batch in checked_batches(features, who):
        yield batch.need_patches(who).to(device).float()


def objects_of(features: FeatureStream, device: str, who: str) -> Iterator[tuple[Tensor, list[int]]]:
    """The patches of the objects of each batch [N, C] float32, on the device, and how many each image has.

    Raises:
        DataError, ContractError: as `patches_of`.
    """
    for batch in checked_batches(features, who):
        rows, counts = batch.object_patches(who)
        yield rows.to(device).float(), counts


def grids_of(features: FeatureStream, device: str, who: str) -> Iterator[Tensor]:
    """The patches of each batch, for a component that needs one grid for all images.

    Raises:
        DataError: images have different grids; or as `patches_of`.
        ContractError: as `patches_of`.
    """
    grid = None
    for patches in patches_of(features, device, who):
        grid = grid or tuple(patches.shape[1:3])
        require_grid(tuple(patches.shape[1:3]), grid, who)
        yield patches


def require_grid(grid: tuple[int, ...], known: tuple[int, ...], who: str) -> None:
    """Refuse an image whose patches lie on another grid than those of the images before.

    Raises:
        DataError: it is another one.
    """
    if grid != known:
        raise DataError(
            f"{who} has one Gaussian for each place of a grid of {known[0]} x {known[1]} patches, but an image has"
            f" {grid[0]} x {grid[1]}; resize and crop all images to one size"
        )
