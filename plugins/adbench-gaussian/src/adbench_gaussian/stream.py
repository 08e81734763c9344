"""Reads the patches of a stream, batch by batch, and makes sure that they can be learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from adbench import ContractError, DataError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features, FeatureStream


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
    for batch in _checked(features, who):
        yield batch.need_patches(who).to(device).float()


def objects_of(features: FeatureStream, device: str, who: str) -> Iterator[tuple[Tensor, list[int]]]:
    """The patches of the objects of each batch [N, C] float32, on the device, and how many each image has.

    Raises:
        DataError, ContractError: as `patches_of`.
    """
    for batch in _checked(features, who):
        rows, counts = batch.object_patches(who)
        yield rows.to(device).float(), counts


def grids_of(features: FeatureStream, device: str, who: str) -> Iterator[Tensor]:
    """The same for a component that needs one grid for all images.

    Raises:
        DataError: images have different grids; or as `patches_of`.
        ContractError: as `patches_of`.
    """
    grid = None
    for patches in patches_of(features, device, who):
        grid = grid or tuple(patches.shape[1:3])
        make_sure_of_grid(tuple(patches.shape[1:3]), grid, who)
        yield patches


def make_sure_of_grid(seen: tuple[int, ...], known: tuple[int, ...], who: str) -> None:
    """Refuse an image whose patches lie on another grid than those of the images before.

    Raises:
        DataError: it is another one.
    """
    if seen != known:
        raise DataError(
            f"{who} has one Gaussian for each place of a grid of {known[0]} x {known[1]} patches, but an image has"
            f" {seen[0]} x {seen[1]}; resize and crop all images to one size"
        )


def _checked(features: FeatureStream, who: str) -> Iterator[Features]:
    channels = None
    for batch in features:
        patches = batch.need_patches(who)
        _make_sure_of_figures(patches, batch.ids)
        channels = channels or patches.shape[-1]
        if channels != patches.shape[-1]:
            raise ContractError(
                "the backbone or a neck",
                f"all patches have as many channels, but {who} got {channels} and then {patches.shape[-1]}",
            )
        yield batch
    if channels is None:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")


def _make_sure_of_figures(patches: Tensor, ids: Sequence[str]) -> None:
    finite = patches.isfinite().flatten(1).all(1)
    if not finite.all():
        culprit = ids[int(finite.logical_not().nonzero()[0])]
        raise ContractError(
            "the backbone or a neck",
            f"features have to be finite, but image {culprit!r} has NaN or infinity among its patches; "
            "look at the image, or compute in full precision",
        )
