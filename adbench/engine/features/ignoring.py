"""Pixels that nobody looks at: blanked before an image is prepared, and left out of the patch grid afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adbench.api.features import Features
from adbench.engine.features.contract import naming_component
from adbench.errors import ContractError, DataError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset, Sample
    from adbench.api.geometry import Geometry

GRAY = 127
"""The level of ignored pixels, of 255: the same for all images, so that no score depends on what they show."""
SHARE = 0.5
"""A patch is ignored from this share of ignored pixels on."""

Change = Callable[[Tensor], Tensor]
"""Makes of an image [3, H, W] another of the same size."""


def blanked(image: Tensor, ignored: Tensor | None) -> Tensor:
    """An image whose ignored pixels are gray.

    Args:
        image: [3, H, W], uint8 (0 to 255) or float32 (0 to 1).
        ignored: [H, W] bool, or None for none.

    Raises:
        DataError: the image has another size.
    """
    if ignored is None:
        return image
    if ignored.shape != image.shape[1:]:
        sizes = f"{list(image.shape[1:])} pixels, and {list(ignored.shape)} of it are said to be ignored or not"
        raise DataError(f"an image has {sizes}; the two have to agree")
    gray = GRAY if image.dtype == torch.uint8 else GRAY / 255
    return image.masked_fill(ignored, gray)


def ignored_pixels(dataset: Dataset, sample: Sample) -> Tensor | None:
    """[H, W] bool: the pixels of an image that its dataset ignores; None for none."""
    with naming_component(dataset, "ignored"):
        ignored = dataset.ignored(sample)
    if ignored is None:
        return None
    if ignored.dtype != bool or ignored.ndim != 2:
        got = f"{ignored.dtype} {list(ignored.shape)}"
        raise ContractError(dataset.title, f"ignored() must return [H, W] bool, or None, got {got}")
    return torch.from_numpy(ignored)


def with_ignored(features: Features, found: Sequence[Callable[[], Tensor | None]], view: Change | None) -> Features:
    """Features of some images with the ignored pixels of each, of the original and of its view.

    Args:
        features: of the images.
        found: gives of each image [H, W] bool, or None.
        view: in which the images are shown.
    """
    masks = [find() for find in found]
    if all(mask is None for mask in masks):
        return features
    pairs = zip(masks, features.geometry, strict=True)
    return features.having(
        ignored=tuple(
            torch.zeros(place.size, dtype=torch.bool) if mask is None else on_prepared(in_view(mask, view), place)
            for mask, place in pairs
        )
    )


def in_view(ignored: Tensor, view: Change | None) -> Tensor:
    """[H, W] bool: the ignored pixels of a view of an image, from those of the image."""
    if view is None:
        return ignored
    return view((ignored.to(torch.uint8) * 255).expand(3, -1, -1))[0] > 127


def on_prepared(ignored: Tensor, geometry: Geometry) -> Tensor:
    """[H0, W0] bool: the ignored pixels of a prepared image, by the original pixel below the centre of each.

    Args:
        ignored: [H, W] bool, of the original image.
        geometry: where the prepared image lies in it; what lies beyond the original is not ignored.
    """
    if geometry.warp is not None:
        return _on_turned(ignored, geometry)
    (rows, above), (columns, left) = (_places(geometry, axis) for axis in (0, 1))
    return ignored[rows][:, columns] & above[:, None] & left


def _on_turned(ignored: Tensor, geometry: Geometry) -> Tensor:
    """As `on_prepared`, where the prepared image shows a part of the turned original."""
    down, across = (torch.arange(count, dtype=torch.float64) + 0.5 for count in geometry.size)
    places: Any = geometry.to_original(down[:, None].expand(geometry.size), across.expand(geometry.size))  # type: ignore[arg-type]  # all places at once
    (rows, columns), (height, width) = (place.floor().long() for place in places), geometry.original
    inside: Tensor = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return ignored[rows.clamp(0, height - 1), columns.clamp(0, width - 1)] & inside


def _places(geometry: Geometry, axis: int) -> tuple[Tensor, Tensor]:
    """For each prepared row or column the one of the original, and whether it lies there."""
    start, stop, length = geometry.box[axis], geometry.box[axis + 2], geometry.original[axis]
    count = geometry.size[axis]
    places = (start + (torch.arange(count, dtype=torch.float64) + 0.5) * ((stop - start) / count)).floor().long()
    return places.clamp(0, length - 1), (places >= 0) & (places < length)


def on_grid(prepared: Tensor, grid: tuple[int, int]) -> Tensor:
    """[h, w] bool: the ignored patches, of which half of the pixels are or more.

    Args:
        prepared: [H0, W0] bool, the ignored pixels of the prepared image.
        grid: height and width of the patch grid.
    """
    from torch.nn.functional import adaptive_avg_pool2d

    shares: Tensor = adaptive_avg_pool2d(prepared[None].float(), grid)[0]
    return shares >= SHARE


def ignored_patches(features: Features, grid: Sequence[int] | None) -> Tensor | None:
    """[B, h, w] bool: the patches of a batch that nobody looks at; None where no pixel is ignored.

    Args:
        features: of some images.
        grid: height and width of the patch grid; None where there is none.

    Raises:
        DataError: all patches of an image are ignored.
    """
    if features.ignored is None or grid is None:
        return None
    patches = torch.stack([on_grid(one, (int(grid[0]), int(grid[1]))) for one in features.ignored])
    for alias, whole in zip(features.ids, patches.flatten(1).all(dim=1).tolist(), strict=True):
        if whole:
            raise DataError(f"{alias}: all of its patches are ignored; let the ignore mask leave more of the image")
    return patches
