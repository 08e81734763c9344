"""The patch vectors of a whole stream, gathered into one matrix that is in memory once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench.banks import checked_batches, require_room
from adbench.comparisons import NormalPatch, PatchPlace

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import FeatureStream

FEWER = "add the neck 'pool-channels', which shortens them, or use fewer or smaller images"


@dataclass(frozen=True)
class Collection:
    """Patch vectors and the images that own them.

    Attributes:
        vectors: [N, C] float32.
        owners: [N] int64: the image of each vector, an index into `ids`.
        ids: the images; an image that was shown in several views comes once for each.
        places: [N, 2] int16 on the CPU: row and column of each vector in its image's patch grid; None where they were
            not kept.
        grids: [len(ids), 2] int16 on the CPU: rows and columns of the patch grid of each image; None with `places`.
    """

    vectors: Tensor
    owners: Tensor
    ids: tuple[str, ...]
    places: Tensor | None = None
    grids: Tensor | None = None

    def some(self, index: Tensor) -> Collection:
        """The vectors at these places of the matrix, or where a mask is true."""
        places = None if self.places is None else self.places[index.cpu()]
        return Collection(self.vectors[index], self.owners[index], self.ids, places, self.grids)

    def place_of(self, index: int) -> PatchPlace | None:
        """The place of a vector in its image; None where places were not kept."""
        if self.places is None or self.grids is None:
            return None
        owner = int(self.owners[index])
        row, column = self.places[index].tolist()
        return patch_at(self.ids, owner, (row, column), self.grids[owner].tolist()).place


def patch_at(ids: Sequence[str], image: int, place: tuple[int, int], grid: Sequence[int]) -> NormalPatch:
    """The normal patch at a place of an image.

    Args:
        ids: the images; one that was shown in several views comes once for each.
        image: an index into `ids`.
        place: row and column.
        grid: rows and columns of the patch grid.
    """
    view = ids[:image].count(ids[image])
    rows, columns = grid
    return NormalPatch(ids[image], PatchPlace(*place, rows, columns, view - 1 if view else None))


def bytes_of(text: str) -> Tensor:
    """A text as a tensor of its bytes, for a state."""
    import torch

    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def text_of(content: Tensor) -> str:
    """The text of the bytes in a tensor."""
    return bytes(content.tolist()).decode()


@dataclass(frozen=True)
class Patches:
    """The patch vectors of one batch.

    Attributes:
        rows: [M, C], image after image, row after row.
        owners: [M] int64: the image of each, by its place in the stream.
        ids: the images.
        places: [M, 2] int16: row and column of each vector.
        grid: rows and columns of the patch grid.
        ahead: vectors that this batch and the images after it will bring if those are on the same grid, at most.
    """

    rows: Tensor
    owners: Tensor
    ids: tuple[str, ...]
    places: Tensor
    grid: tuple[int, int]
    ahead: int


def patches_of(features: FeatureStream, who: str) -> Iterator[Patches]:
    """The patch vectors of a stream, batch by batch.

    Args:
        features: the stream.
        who: the component that asks, as messages write it.

    Raises:
        DataError: the stream is empty.
        ContractError: there are no patches, their channels change, or some are not finite; the image is named.
    """
    import torch

    images = 0
    for batch in checked_batches(features, who):
        rows, counts = batch.object_patches(who)
        owners = torch.arange(images, images + len(batch)).repeat_interleave(torch.tensor(counts))
        images += len(batch)
        height, width = batch.need_patches(who).shape[1:3]
        places = _places(len(batch), height, width, batch.foreground)
        ahead = len(rows) + height * width * (len(features) - images)
        yield Patches(rows, owners, batch.ids, places, (height, width), ahead)


def _places(images: int, height: int, width: int, foreground: Tensor | None) -> Tensor:
    """Row and column of each patch of some images, image after image [M, 2] int16; of the foreground, if given."""
    import torch

    rows, columns = torch.arange(height, dtype=torch.int16), torch.arange(width, dtype=torch.int16)
    grid = torch.cartesian_prod(rows, columns).reshape(1, height, width, 2).expand(images, -1, -1, -1)
    return grid.flatten(0, 2) if foreground is None else grid[foreground.cpu()]


def collect(features: FeatureStream, device: str, who: str, share: float = 1, way_out: str = FEWER) -> Collection:
    """All patch vectors of a stream.

    The matrix is allocated when the first batch shows how many patches an image has, so that vectors are never held
    twice; only a stream whose grids grow on the way has to move to a larger one.

    Args:
        features: the stream.
        device: where the vectors go.
        who: the component that asks, as messages write it.
        share: bytes that it will need in all for each byte of the vectors.
        way_out: advice for the message where they do not fit.

    Raises:
        UsageError: they would need more memory than is free; the message says how much.
        DataError, ContractError: as `patches_of`.
    """
    import torch

    vectors: Tensor | None = None
    filled = 0
    ids: list[str] = []
    owners: list[Tensor] = []
    places: list[Tensor] = []
    grids: list[tuple[int, int]] = []
    for patches in patches_of(features, who):
        rows = patches.rows
        if vectors is None or filled + len(rows) > len(vectors):
            total, channels = filled + patches.ahead, rows.shape[1]
            what = f"{who} with {total:,} vectors of {channels} channels"
            require_room(4 * total * channels * share, what, way_out, device)
            larger = torch.empty(total, channels, device=device)
            if vectors is not None:
                larger[:filled] = vectors[:filled]
            vectors = larger
        vectors[filled : filled + len(rows)] = rows
        owners.append(patches.owners)
        places.append(patches.places)
        grids += [patches.grid] * len(patches.ids)
        ids.extend(patches.ids)
        filled += len(rows)
    assert vectors is not None
    kept = vectors if filled == len(vectors) else vectors[:filled].clone()
    sizes = torch.tensor(grids, dtype=torch.int16)
    return Collection(kept, torch.cat(owners).to(device), tuple(ids), torch.cat(places), sizes)
