"""The feature grids that a flow learns from: one for each layer, or one of merged patches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from adbench import ContractError, DataError
from adbench.banks import require_room

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features, FeatureStream

Reads = Literal["patches", "layers"]

_FEWER = "use fewer or smaller training images, or fewer layers"


def grids_of(features: Features, reads: Reads, who: str) -> list[Tensor]:
    """The grids of a batch, [B, C, H, W] float32 each; the finest first where there are several.

    Args:
        features: of some images.
        reads: which field of them.
        who: the component that asks, as messages write it.

    Raises:
        ContractError: the field is empty, or a value is not finite; the image is named.
    """
    import torch

    found = [features.need_patches(who)] if reads == "patches" else list(features.need_layers(who).values())
    grids = [grid.float().permute(0, 3, 1, 2) for grid in found]
    for grid in () if torch.compiler.is_exporting() else grids:
        finite = grid.isfinite().flatten(1).all(1)
        if not finite.all():
            image = features.ids[int(finite.logical_not().nonzero()[0])]
            raise ContractError(
                "the backbone or a neck",
                f"features must be finite, but image {image!r} has NaN or infinity; look at the image, or compute in"
                " full precision",
            )
    return sorted(grids, key=lambda grid: -grid.shape[2] * grid.shape[3])


def all_grids(features: FeatureStream, reads: Reads, who: str) -> list[Tensor]:
    """The grids of all images, [N, C, H, W] float32 each, on the CPU.

    Raises:
        DataError: there is no image, or images have different grids.
        ContractError: as `grids_of`.
        UsageError: they do not fit into memory.
    """
    import torch

    held: list[list[Tensor]] = []
    for batch in features:
        grids = [grid.cpu() for grid in grids_of(batch, reads, who)]
        if held and _shapes(grids) != _shapes(held[0]):
            raise DataError(
                f"{who} learns from grids of {_written(held[0])} values, but an image has {_written(grids)}; resize and"
                " crop all images to one size"
            )
        if not held:
            need = 2 * 4 * len(features) * sum(grid[0].numel() for grid in grids)  # batch by batch, then as one
            require_room(need, f"{who} with the features of {len(features):,} images", _FEWER, "cpu")
        held.append(grids)
    if not held:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")
    return [torch.cat(parts).contiguous() for parts in zip(*held, strict=True)]


def on_one_grid(energies: list[Tensor]) -> Iterator[Tensor]:
    """Energies [B, h, w] of several layers on the grid of the first one, enlarged bilinearly."""
    from torch.nn.functional import interpolate

    size = energies[0].shape[1:]
    for one in energies:
        yield one if one.shape[1:] == size else interpolate(one[:, None], size=tuple(size), mode="bilinear")[:, 0]


def _shapes(grids: list[Tensor]) -> list[tuple[int, ...]]:
    return [tuple(grid.shape[1:]) for grid in grids]


def _written(grids: list[Tensor]) -> str:
    return ", ".join(f"{height} x {width} x {channels}" for channels, height, width in _shapes(grids))
