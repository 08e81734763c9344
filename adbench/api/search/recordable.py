"""Nearest-neighbour search by tensor operations alone, whose steps do not depend on the data: for exported files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.api.search.owners import check_count

if TYPE_CHECKING:
    from torch import Tensor

SPARE = 7
"""Candidates beside the k nearest of the product, which rounding may have put in the wrong order."""


class RecordableIndex:
    """A search that is one matrix product, behind which the distances to a few candidates are measured directly.

    A product of float32 loses digits where vectors are long and distances short. It therefore only finds candidates;
    the distance to each of them is taken from the differences, as `ExactIndex` does. No step checks that the candidates
    are enough, because that would depend on the data: what is missed is no nearer than rounding.

    Args:
        vectors: [N, C] float32.
    """

    def __init__(self, vectors: Tensor) -> None:
        from torch.nn.functional import normalize

        self._rows = {"l2": _Rows(vectors), "cosine": _Rows(normalize(vectors, dim=-1))}

    def search(self, query: Tensor, k: int, metric: str = "l2") -> tuple[Tensor, Tensor]:
        """The k nearest vectors of each query, nearest first, as `VectorBank.search` gives them.

        Args:
            query: [Q, C] float32.
            k: how many; at most N.
            metric: ``"l2"`` or ``"cosine"``.

        Returns:
            Distances [Q, k] float32 and indices [Q, k] int64.

        Raises:
            UsageError: k is larger than what there is to find.
        """
        from torch.nn.functional import normalize

        rows = self._rows[metric]
        check_count(k, len(rows.vectors))
        query = query if metric == "l2" else normalize(query, dim=-1)
        candidates = rows.likeness(query).topk(min(k + SPARE, len(rows.vectors)), dim=1).indices
        near, asked = rows.vectors[candidates], query[:, None]
        squared = (near - asked).square().sum(-1)
        measured = squared.sqrt() if metric == "l2" else (squared + _zeros(near) + _zeros(asked)) / 2
        distances, order = measured.topk(k, dim=1, largest=False)
        return distances, candidates.gather(1, order)


class _Rows:
    """Vectors, and themselves relative to their mean, where a product loses fewer digits."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors, self._center = vectors, vectors.mean(0)
        self._moved = vectors - self._center
        self._halves = self._moved.square().sum(1) / 2

    def likeness(self, query: Tensor) -> Tensor:
        """[Q, N], higher for nearer vectors."""
        return (query - self._center) @ self._moved.T - self._halves


def _zeros(vectors: Tensor) -> Tensor:
    """1 for each vector [..., C] of zeros, which is at right angles to every other; else 0."""
    return (vectors == 0).all(-1).float()
