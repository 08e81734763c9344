"""Reads the patch vectors of a whole stream, and gathers them into one matrix, once in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench import ContractError, DataError
from adbench_memory.room import FEWER, make_sure_of_room

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features, FeatureStream


@dataclass(frozen=True)
class Collection:
    """Patch vectors and where they come from.

    Attributes:
        vectors: [N, C] float32.
        owners: [N] int64: the image of each vector, an index into `ids`.
        ids: the images.
    """

    vectors: Tensor
    owners: Tensor
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Patches:
    """The patch vectors of one batch.

    Attributes:
        rows: [M, C], image after image, row after row.
        owners: [M] int64: the image of each, by its place in the stream.
        ids: the images.
        ahead: vectors that this batch and the images after it will bring if those are on the same grid, at most.
    """

    rows: Tensor
    owners: Tensor
    ids: tuple[str, ...]
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

    images, channels = 0, None
    for batch in features:
        rows, counts = _rows(batch, who)
        channels = channels or rows.shape[1]
        if channels != rows.shape[1]:
            raise ContractError(
                "the backbone or a neck",
                f"all patches have as many channels, but {who} got {channels} and then {rows.shape[1]}",
            )
        owners = torch.arange(images, images + len(batch)).repeat_interleave(torch.tensor(counts))
        images += len(batch)
        whole = batch.need_patches(who)[0, ..., 0].numel()
        yield Patches(rows, owners, batch.ids, len(rows) + whole * (len(features) - images))
    if channels is None:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")


def collect(features: FeatureStream, device: str, who: str, share: float = 1, way_out: str = FEWER) -> Collection:
    """All patch vectors of a stream.

    The matrix is allocated when the first batch has told how many patches an image has, so that vectors are never held
    twice; only a stream whose grids grow on the way has to move to a larger one.

    Args:
        features: the stream.
        device: where the vectors go.
        who: the component that asks, as messages write it.
        share: bytes that it will need in all for each byte of the vectors.
        way_out: what the user can do where they do not fit, as the message says it.

    Raises:
        UsageError: they would need more memory than is free; the message says how much.
        DataError, ContractError: as `patches_of`.
    """
    import torch

    vectors: Tensor | None = None
    filled = 0
    ids: list[str] = []
    owners: list[Tensor] = []
    for patches in patches_of(features, who):
        rows = patches.rows
        if vectors is None or filled + len(rows) > len(vectors):
            make_sure_of_room(filled + patches.ahead, rows.shape[1], share, device, who, way_out)
            larger = torch.empty(filled + patches.ahead, rows.shape[1], device=device)
            if vectors is not None:
                larger[:filled] = vectors[:filled]
            vectors = larger
        vectors[filled : filled + len(rows)] = rows
        owners.append(patches.owners)
        ids.extend(patches.ids)
        filled += len(rows)
    assert vectors is not None
    kept = vectors if filled == len(vectors) else vectors[:filled].clone()
    return Collection(kept, torch.cat(owners).to(device), tuple(ids))


def _rows(batch: Features, who: str) -> tuple[Tensor, list[int]]:
    """The objects' patches [N, C] of a batch, known to be finite, and how many each image has."""
    patches = batch.need_patches(who)
    finite = patches.isfinite().flatten(1).all(1)
    if not finite.all():
        culprit = batch.ids[int(finite.logical_not().nonzero()[0])]
        raise ContractError(
            "the backbone or a neck",
            f"features have to be finite, but image {culprit!r} has NaN or infinity among its patches; "
            "look at the image, or compute in full precision",
        )
    return batch.object_patches(who)
