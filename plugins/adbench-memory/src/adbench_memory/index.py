"""Approximate search: faiss proposes candidates, their distances are measured exactly.

The index is a graph of near neighbours, over which a search walks greedily: HNSW (Malkov and Yashunin, "Efficient and
robust approximate nearest neighbor search using hierarchical navigable small world graphs", PAMI 2020).

Of vectors that are equally near the lowest index comes first among the candidates; a lower one may not be proposed.

The recall is measured: some vectors are held out while the graph is built, and asked for. Everything is on the CPU, and
deterministic: faiss draws with a fixed seed, and the graph is built by one thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationInfo, field_validator

from adbench import Component, Field
from adbench.search import ExactIndex, nearest_among

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SPARE = 4  # candidates beyond k
BLOCK = 1 << 24  # elements that are prepared for faiss together
RECALL_AT = 1, 10


class SearchConfig(Component.Config):
    """The options of a bank's search."""

    index: Literal["exact", "hnsw"] = Field(
        "exact", description="exact search, or an approximate one by faiss (HNSW) whose recall is measured"
    )
    index_metric: Literal["l2", "cosine"] = Field(
        "l2", description="what an approximate index is built for: the metric that the scorer asks for"
    )
    M: int | None = Field(None, ge=2, le=256, description="hnsw: links of a vector; 32 when left out")
    ef: int | None = Field(None, ge=1, description="hnsw: breadth of the search; 64 when left out")

    @field_validator("M", "ef")
    @classmethod
    def _for_its_index(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("index") != "hnsw":
            raise ValueError("is an option of index=hnsw")
        return value


_GONE = "leave it out: of the approximate indices only index=hnsw is left, which was the fastest and found the most"

RETIRED: dict[str, tuple[Any, str]] = dict.fromkeys(("nlist", "nprobe", "m", "nbits"), (None, _GONE))
"""Options of the indices ``ivf`` and ``pq``, which no longer exist."""


class ApproximateIndex:
    """An index over vectors, built for one metric.

    Args:
        vectors: [N, C] on any device.
        options: how the graph is built and walked over, and for which metric.
        held_out: [K] indices that are added last, after the recall for them was measured; fewer than N.

    Attributes:
        recall: share of the true nearest vectors that is found, by how many were asked for; without `held_out` empty.
    """

    def __init__(self, vectors: Tensor, options: SearchConfig, held_out: Tensor) -> None:
        import faiss
        import torch

        self._vectors, self._options = vectors, options
        self._center = vectors.mean(0) if options.index_metric == "l2" else None
        held_out = held_out.to(vectors.device)
        others = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
        others[held_out] = False
        self._order = others.nonzero().squeeze(1)
        self._index: Any = faiss.IndexHNSWFlat(vectors.shape[1], options.M or 32)
        self._add(self._order)
        self.recall = self._recall(held_out)
        self._order = torch.cat([self._order, held_out])
        self._add(held_out)

    @property
    def megabytes(self) -> float:
        """The size of the index."""
        import faiss

        sizes: list[int] = []

        def count(written: bytes) -> int:
            sizes.append(len(written))
            return len(written)

        faiss.write_index(self._index, faiss.PyCallbackIOWriter(count, 1 << 20))  # type: ignore[attr-defined]
        return sum(sizes) / 1e6

    def search(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Search the index as `VectorBank.search` does, by the metric that it was built for."""
        query = query.to(self._vectors.device, self._vectors.dtype)
        if k > len(self._vectors):
            return self._exactly(query, k)  # says so
        near, whole = self._proposed(query, k)
        distances, indices = nearest_among(query, self._vectors, near, k, self._options.index_metric)
        if not whole.all():
            distances[~whole], indices[~whole] = self._exactly(query[~whole], k)
        return distances, indices

    def _exactly(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return ExactIndex(self._vectors, self._options.index_metric, keep=False).search(query, k)

    def _proposed(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Candidates [Q, k or more], and whether there are at least k [Q]: the graph search may find fewer."""
        import faiss
        import torch

        wanted = min(k + SPARE, self._index.ntotal)
        breadth = faiss.SearchParametersHNSW(efSearch=max(wanted, self._options.ef or 64))  # type: ignore[attr-defined]
        _, places = self._index.search(self._prepared(query), wanted, params=breadth)
        found = torch.from_numpy(places).to(query.device)
        return self._order[found.clamp(min=0)], (found >= 0).all(1)

    def _recall(self, held_out: Tensor) -> Mapping[int, float]:
        """The recall on vectors outside the index. A proposed neighbour counts as found: its distance is exact."""
        if not len(held_out):
            return {}
        query = self._vectors[held_out]
        owners = ["in"] * len(self._vectors)
        for number in held_out.tolist():
            owners[number] = "out"
        metric = self._options.index_metric
        exact = ExactIndex(self._vectors, metric, owners=owners, keep=False)
        _, true = exact.search(query, min(max(RECALL_AT), len(self._order)), exclude=["out"] * len(query))
        shares = {}
        for k in RECALL_AT:
            near, whole = self._proposed(query, k)
            found = (true[:, :k, None] == near[:, None, :]).any(2) | ~whole[:, None]
            shares[k] = float(found.float().mean())
        return shares

    def _prepared(self, rows: Tensor) -> np.ndarray:
        """Rows whose Euclidean distances have the order of the metric."""
        from torch.nn.functional import normalize

        ready = normalize(rows, dim=-1) if self._center is None else rows - self._center
        array: np.ndarray = ready.cpu().contiguous().numpy()
        return array

    def _add(self, index: Tensor) -> None:
        import torch

        with _one_thread():
            for some in torch.split(index, max(1, BLOCK // self._vectors.shape[1])):
                self._index.add(self._prepared(self._vectors[some]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run faiss in one thread, so that no result depends on the order of several."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
