"""Gathers the patch vectors of a whole stream into one matrix, once in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench import ContractError, DataError

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


def collect(features: FeatureStream, device: str, who: str) -> Collection:
    """All patch vectors of a stream, image after image, row after row.

    The matrix is allocated when the first batch has told how many patches an image has, so that vectors are never held
    twice; only a stream whose grids grow on the way has to move to a larger one.

    Args:
        features: the stream.
        device: where the vectors go.
        who: the component that asks, as messages write it.

    Raises:
        DataError: the stream is empty.
        ContractError: there are no patches, their channels change, or some are not finite; the image is named.
    """
    import torch

    vectors: Tensor | None = None
    filled = 0
    ids: list[str] = []
    owners: list[Tensor] = []
    for batch in features:
        rows = _rows(batch, who)
        each = len(rows) // len(batch)
        vectors = _room(vectors, filled, rows, filled + each * (len(features) - len(ids)), device, who)
        vectors[filled : filled + len(rows)] = rows
        owners.append(torch.arange(len(ids), len(ids) + len(batch)).repeat_interleave(each))
        filled += len(rows)
        ids.extend(batch.ids)
    if vectors is None:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")
    kept = vectors if filled == len(vectors) else vectors[:filled].clone()
    return Collection(kept, torch.cat(owners).to(device), tuple(ids))


def _rows(batch: Features, who: str) -> Tensor:
    """[B·H·W, C] of a batch, known to be finite."""
    patches = batch.need_patches(who)
    finite = patches.isfinite().flatten(1).all(1)
    if not finite.all():
        culprit = batch.ids[int(finite.logical_not().nonzero()[0])]
        raise ContractError(
            "the backbone or a neck",
            f"features have to be finite, but image {culprit!r} has NaN or infinity among its patches; "
            "look at the image, or compute in full precision",
        )
    return patches.flatten(0, 2)


def _room(vectors: Tensor | None, filled: int, rows: Tensor, expected: int, device: str, who: str) -> Tensor:
    """A matrix with room for these rows after the `filled` ones, and for as many as are expected in the end."""
    import torch

    if vectors is not None and vectors.shape[1] != rows.shape[1]:
        raise ContractError(
            "the backbone or a neck",
            f"all patches have as many channels, but {who} got {vectors.shape[1]} and then {rows.shape[1]}",
        )
    if vectors is not None and filled + len(rows) <= len(vectors):
        return vectors
    larger = torch.empty(max(expected, filled + len(rows)), rows.shape[1], device=device)
    if vectors is not None:
        larger[:filled] = vectors[:filled]
    return larger
