"""Approximate search: faiss proposes candidates, their distances are measured exactly.

| index | what is skipped | source |
|---|---|---|
| ``ivf`` | cells of a k-means partition whose centers are far from the query | Jegou et al., PAMI 2011 |
| ``hnsw`` | all that a walk over a graph of near neighbours does not meet | Malkov and Yashunin, PAMI 2020 |
| ``pq`` | no vector, but most of each: distances come from product-quantised codes | Jegou et al., PAMI 2011 |

Of vectors that are equally near the lowest index comes first among the candidates; a lower one may not be proposed.

What they miss is measured: some vectors are held out while an index is built, and asked for. Everything is on the CPU,
and deterministic: the parts of faiss that draw have fixed seeds, and a graph is built by one thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationInfo, field_validator

from adbench import Component, Field, UsageError
from adbench.search import ExactIndex, nearest_among

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

OPTIONS = {"nlist": "ivf", "nprobe": "ivf", "M": "hnsw", "ef": "hnsw", "m": "pq", "nbits": "pq"}
SPARE = {"ivf": 4, "hnsw": 4, "pq": 60}  # candidates beyond k: codes are coarse
BLOCK = 1 << 24  # elements that are prepared for faiss together
TRAINING = 1 << 16  # vectors that cells and codes are learned from
RECALL_AT = 1, 10


class SearchConfig(Component.Config):
    """How a bank of vectors is searched."""

    index: Literal["exact", "ivf", "hnsw", "pq"] = Field(
        "exact", description="exact search, or an approximate one by faiss whose recall is measured"
    )
    index_metric: Literal["l2", "cosine"] = Field(
        "l2", description="what an approximate index is built for: the metric that the scorer asks for"
    )
    nlist: int | None = Field(None, ge=1, description="ivf: cells; sqrt(N) when left out")
    nprobe: int | None = Field(None, ge=1, description="ivf: cells looked into; a sixteenth of them when left out")
    M: int | None = Field(None, ge=2, le=256, description="hnsw: links of a vector; 32 when left out")
    ef: int | None = Field(None, ge=1, description="hnsw: breadth of the walk; 64 when left out")
    m: int | None = Field(
        None, ge=1, description="pq: codes of a vector, a divisor of its channels; about an eighth when left out"
    )
    nbits: int | None = Field(
        None, ge=1, le=12, description="pq: bits of a code; 8, or fewer for few vectors, when left out"
    )

    @field_validator(*OPTIONS)
    @classmethod
    def _for_its_index(cls, value: int | None, info: ValidationInfo) -> int | None:
        owner = OPTIONS[info.field_name or ""]
        if value is not None and info.data.get("index") != owner:
            raise ValueError(f"is an option of index={owner}")
        return value


class ApproximateIndex:
    """An index over vectors, built for one metric.

    Args:
        vectors: [N, C] on any device.
        options: which index and how.
        held_out: [K] indices that are added last, after the recall for them was measured; fewer than N.
        who: the component that searches, as messages write it.

    Attributes:
        recall: share of the true nearest vectors that is found, by how many were asked for; without `held_out` empty.

    Raises:
        UsageError: options that do not fit the vectors.
    """

    def __init__(self, vectors: Tensor, options: SearchConfig, held_out: Tensor, who: str) -> None:
        import torch

        self._vectors, self._options, self._who = vectors, options, who
        self._center = vectors.mean(0) if options.index_metric == "l2" else None
        held_out = held_out.to(vectors.device)
        others = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
        others[held_out] = False
        self._order = others.nonzero().squeeze(1)
        self._index = self._trained()
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
        """As `VectorBank.search`, for the metric that the index was built for."""
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
        """Candidates [Q, k or more], and where there are so many [Q]: cells and walks may hold fewer."""
        import torch

        wanted = min(k + SPARE[self._options.index], self._index.ntotal)
        _, places = self._index.search(self._prepared(query), wanted, params=self._parameters(wanted))
        found = torch.from_numpy(places).to(query.device)
        return self._order[found.clamp(min=0)], (found >= 0).all(1)

    def _recall(self, held_out: Tensor) -> Mapping[int, float]:
        """For vectors that are not in the index. A true neighbour has only to be proposed: distances are exact."""
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
        """Rows whose Euclidean distances order as the metric does."""
        from torch.nn.functional import normalize

        ready = normalize(rows, dim=-1) if self._center is None else rows - self._center
        array: np.ndarray = ready.cpu().contiguous().numpy()
        return array

    def _add(self, index: Tensor) -> None:
        import torch

        with _one_thread() if self._options.index == "hnsw" else nullcontext():
            for some in torch.split(index, max(1, BLOCK // self._vectors.shape[1])):
                self._index.add(self._prepared(self._vectors[some]))

    def _trained(self) -> Any:
        """An empty index that knows its cells or codes, learned from an even sample."""
        index = {"ivf": self._ivf, "hnsw": self._hnsw, "pq": self._pq}[self._options.index](self._vectors.shape[1])
        sample = self._order[:: max(1, len(self._order) // TRAINING)]
        index.train(self._prepared(self._vectors[sample]))
        return index

    def _ivf(self, channels: int) -> Any:
        import faiss

        cells = self._options.nlist or round(math.sqrt(len(self._order)))
        self._refuse_unless(cells <= len(self._order), "nlist", cells, f"at most the {len(self._order)} vectors")
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(channels), channels, cells)
        index.cp.min_points_per_centroid = 1  # faiss would print a warning for fewer than 39
        index.nprobe = min(cells, self._options.nprobe or math.ceil(cells / 16))
        return index

    def _hnsw(self, channels: int) -> Any:
        import faiss

        return faiss.IndexHNSWFlat(channels, self._options.M or 32)

    def _pq(self, channels: int) -> Any:
        import faiss

        most = int(math.log2(len(self._order)))
        codes = self._options.m or max(part for part in range(1, channels // 8 + 2) if channels % part == 0)
        bits = self._options.nbits or max(1, min(8, most - 2))
        self._refuse_unless(channels % codes == 0, "m", codes, f"a divisor of the {channels} channels")
        self._refuse_unless(bits <= most, "nbits", bits, f"at most {most} for {len(self._order)} vectors")
        index = faiss.IndexPQ(channels, codes, bits)
        index.pq.cp.min_points_per_centroid = 1
        return index

    def _parameters(self, wanted: int) -> Any:
        import faiss

        if self._options.index != "hnsw":
            return None
        return faiss.SearchParametersHNSW(efSearch=max(wanted, self._options.ef or 64))  # type: ignore[attr-defined]

    def _refuse_unless(self, good: bool, option: str, given: int, rule: str) -> None:
        if not good:
            raise UsageError(f"option {option!r} of {self._who} has to be {rule} (given: {given})")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let faiss work in one thread, so that nothing depends on which of several is faster."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
