"""The training examples: prepared images and layers, in one file of the scratch folder, read a batch at a time."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import ContractError, DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self

    from adbench import Features, FeatureStream


@dataclass(frozen=True)
class Layout:
    """The shapes of what one image gives.

    Attributes:
        size: height and width of the prepared image in pixels.
        layers: channels, height and width of each layer of the backbone, the finest first; empty where none is read.
    """

    size: tuple[int, int]
    layers: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Shown:
    """What a model is shown of some images.

    Attributes:
        size: height and width of the prepared images in pixels.
        layers: [B, C, H, W] float32 each, the finest first.
        images: [B, 3, H, W] float32 from 0 to 1; None where the model does not read them.
    """

    size: tuple[int, int]
    layers: tuple[Tensor, ...] = ()
    images: Tensor | None = None

    @property
    def layout(self) -> Layout:
        """The shapes of one image."""
        return Layout(self.size, tuple((each.shape[1], each.shape[2], each.shape[3]) for each in self.layers))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, the images first."""
        return self.layers if self.images is None else (self.images, *self.layers)

    def to(self, device: str) -> Shown:
        """The same on a device."""
        images = None if self.images is None else self.images.to(device)
        return Shown(self.size, tuple(layer.to(device) for layer in self.layers), images)

    def only(self, index: int) -> Shown:
        """One image alone."""
        images = None if self.images is None else self.images[index : index + 1]
        return Shown(self.size, tuple(layer[index : index + 1] for layer in self.layers), images)

    @property
    def need_images(self) -> Tensor:
        """The images of a model that reads them."""
        assert self.images is not None
        return self.images


def shown(features: Features, reads: frozenset[str], who: str) -> Shown:
    """What a model is shown of a batch.

    Args:
        features: of images of one size.
        reads: ``"layers"``, ``"images"`` or both.
        who: the component that asks, as messages write it.

    Raises:
        ContractError: a field is empty, or a value is not finite; the image is named.
    """
    layers: list[Tensor] = []
    if "layers" in reads:
        grids = [grid.float().permute(0, 3, 1, 2) for grid in features.need_layers(who).values()]
        layers = sorted(grids, key=lambda grid: -grid.shape[2] * grid.shape[3])
    if "images" in reads and features.images is None:
        raise ContractError(who, "it reads the prepared images, but is given none")
    images = features.images.float() if "images" in reads and features.images is not None else None
    found = Shown(features.geometry[0].size, tuple(layers), images)
    for tensor in found.tensors:
        finite = tensor.isfinite().flatten(1).all(1)
        if not finite.all():
            image = features.ids[int(finite.logical_not().nonzero()[0])]
            raise ContractError(
                "the backbone or a neck", f"features must be finite, but image {image!r} has NaN or infinity"
            )
    return found


class Examples:
    """Examples in a file that disappears when the block of the object ends: a large category need not fit into memory.

    Args:
        reads: ``"layers"``, ``"images"`` or both.
        who: the component that asks, as messages write it.
        folder: where the file lies.

    Attributes:
        layout: of each example.
        digest: the sha256 of all examples, in hex.
    """

    def __init__(self, reads: frozenset[str], who: str, folder: Path) -> None:
        self._reads, self._who, self._folder = reads, who, folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed when the block ends
        self._count, self._bytes, self._digest = 0, 0, hashlib.sha256()
        self._layout: Layout | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, features: FeatureStream) -> None:
        """Add all images of a stream.

        Raises:
            DataError: images have different sizes.
            ContractError: as `shown`.
            UsageError: the disk has no room for them.
        """
        for batch in features:
            found = shown(batch, self._reads, self._who)
            self._require_room(found, len(features))
            for row in _rows(found):
                self._digest.update(row)
                self._file.write(row)
                self._count += 1

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def __len__(self) -> int:
        return self._count

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise DataError(
                f"{self._who} cannot learn from nothing: there is no image to learn from; add normal images"
            )
        return self._layout

    def batch(self, chosen: Sequence[int]) -> Shown:
        """Some examples, on the CPU."""
        import torch

        rows = torch.empty(len(chosen), self._bytes // 4)
        for row, index in zip(rows, chosen, strict=True):
            self._file.seek(index * self._bytes)
            self._file.readinto(row.numpy().data.cast("B"))
        return _cut(rows, self.layout, images="images" in self._reads)

    def parts(self, chosen: Sequence[int]) -> Iterator[Shown]:
        """Examples one by one."""
        return (self.batch([index]) for index in chosen)

    def _require_room(self, found: Shown, images: int) -> None:
        layout = found.layout
        if self._layout is None:
            self._layout = layout
            self._bytes = 4 * sum(tensor[0].numel() for tensor in found.tensors)
            need, free = images * self._bytes, shutil.disk_usage(self._folder).free
            if need > free:
                raise UsageError(
                    f"{self._who} keeps {need / 1e9:.1f} GB of {images:,} images in {self._folder}, where"
                    f" {free / 1e9:.1f} GB are free; set TMPDIR to a larger disk, or use fewer or smaller images"
                )
        elif layout != self._layout:
            raise DataError(
                f"{self._who} learns from images of one size, {_size(self._layout)}, but an image has {_size(layout)};"
                " resize and crop all images to one size"
            )


def _rows(found: Shown) -> Iterator[bytes]:
    for index in range(len(found.tensors[0])):
        yield b"".join(tensor[index].cpu().contiguous().numpy().tobytes() for tensor in found.tensors)


def _cut(rows: Tensor, layout: Layout, *, images: bool) -> Shown:
    """Rows [B, values] as they were written."""
    import torch

    shapes = [(3, *layout.size), *layout.layers] if images else list(layout.layers)
    parts = torch.split(rows, [channels * height * width for channels, height, width in shapes], 1)
    tensors = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
    return Shown(layout.size, tuple(tensors[images:]), tensors[0] if images else None)


def _size(layout: Layout) -> str:
    layers = "".join(f", {height} x {width} x {channels}" for channels, height, width in layout.layers)
    return f"{layout.size[0]} x {layout.size[1]} pixels{layers}"
