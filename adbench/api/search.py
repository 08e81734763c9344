"""Exact nearest-neighbour search on any device, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    Shortlist = Callable[[Tensor, Tensor, int, str], tuple[Tensor, Tensor]]

BLOCK = 1 << 22  # elements of one temporary, 16 MiB; a handful are alive at a time
SPARE = 4


def exact_search(
    query: Tensor,
    vectors: Tensor,
    k: int,
    metric: str = "l2",
    *,
    owners: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    shortlist: Shortlist | None = None,
) -> tuple[Tensor, Tensor]:
    """The k nearest vectors of each query, nearest first, the lower index among equals.

    A matrix product finds k + 4 candidates for each query; their distances are then measured directly, from the
    differences, and sorted. So each distance is exact to float32 for the vector it belongs to. The product itself is
    off by at most (2 C + 4) 2^-24 (|q|² + |v|²), for l2 relative to the bank's mean: only if more than four others lie
    that close to the k-th can one of them take its place, and its squared distance differs by at most twice that.

    Args:
        query: [Q, C].
        vectors: [N, C]; the search runs on its device.
        k: how many; at most the vectors that a query may match.
        metric: ``"l2"`` (Euclidean distance, not squared) or ``"cosine"`` (1 - cosine similarity, 1 for a zero vector).
        owners: N ids, needed with `exclude`.
        exclude: an id a query whose own vectors must not be found, or None.
        shortlist: finds candidates: ``(query [Q, C], rows [M, C], k, metric)`` to distances [Q, k] that grow with the
            metric's, and indices [Q, k]. Rows are unit vectors for cosine. The default is `product_shortlist`.

    Returns:
        Distances [Q, k] float32 and indices [Q, k] int64.

    Raises:
        UsageError: k is larger than what there is to find, or the metric is unknown.
    """
    import torch

    if metric not in {"l2", "cosine"}:
        raise UsageError(f"unknown metric {metric!r} for a search; known: cosine, l2")
    query = query.to(vectors.device, torch.float32)
    distances = query.new_empty(len(query), k)
    indices = torch.empty(len(query), k, dtype=torch.int64, device=query.device)
    for asking, allowed in _groups(len(query), vectors, owners, exclude):
        _check_count(k, len(vectors) if allowed is None else len(allowed))
        candidates = _candidates(query[asking], vectors, allowed, k, metric, shortlist or product_shortlist)
        distances[asking], indices[asking] = _nearest(query[asking], vectors, candidates, k, metric)
    return distances, indices


def product_shortlist(query: Tensor, rows: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    """The k nearest rows of each query by a matrix product: |v|² - 2 q·v for l2, - q·v for cosine."""
    import torch

    own = rows.square().sum(1) if metric == "l2" else rows.new_zeros(len(rows))
    scale = -2 if metric == "l2" else -1
    height = max(1, BLOCK // len(rows))
    found = [torch.addmm(own, some, rows.T, alpha=scale).topk(k, largest=False) for some in torch.split(query, height)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


def _check_count(k: int, available: int) -> None:
    if not 1 <= k <= available:
        raise UsageError(f"cannot find {k} neighbours among {available} vectors; ask for 1 to {available}")


def _groups(
    queries: int, vectors: Tensor, owners: Sequence[str] | None, exclude: Sequence[str] | None
) -> Iterator[tuple[Tensor | slice, Tensor | None]]:
    """Queries that may match the same vectors, and which vectors those are (None for all)."""
    import torch

    if exclude is None:
        yield slice(None), None
        return
    if owners is None or len(owners) != len(vectors) or len(exclude) != queries:
        raise UsageError("a search with exclusions needs the owner of each vector and one id for each query")
    numbers: dict[str, int] = {}
    owned = torch.tensor([numbers.setdefault(owner, len(numbers)) for owner in owners], device=vectors.device)
    asked = torch.tensor([numbers.get(own, -1) for own in exclude], dtype=torch.int64, device=vectors.device)
    for number in torch.unique(asked).tolist():
        yield (asked == number).nonzero().squeeze(1), (owned != number).nonzero().squeeze(1)


def _candidates(
    query: Tensor, vectors: Tensor, allowed: Tensor | None, k: int, metric: str, shortlist: Shortlist
) -> Tensor:
    """[Q, up to k + SPARE] indices of vectors that are near by the shortlist's arithmetic."""
    import torch

    center = vectors.mean(0, dtype=torch.float32)
    query = _prepared(query, center, metric)
    height = max(k + SPARE, BLOCK // vectors.shape[1])
    total = len(vectors) if allowed is None else len(allowed)
    closeness, found = query.new_empty(len(query), 0), None
    for start in range(0, total, height):
        part = slice(start, start + height) if allowed is None else allowed[start : start + height]
        rows = _prepared(vectors[part].float(), center, metric)
        near, index = shortlist(query, rows, min(k + SPARE, len(rows)), metric)
        index = index + start if allowed is None else allowed[start + index]
        found = index if found is None else torch.cat([found, index], 1)
        closeness, best = torch.cat([closeness, near], 1).topk(min(k + SPARE, found.shape[1]), largest=False)
        found = found.gather(1, best)
    assert found is not None
    return found


def _prepared(rows: Tensor, center: Tensor, metric: str) -> Tensor:
    """Rows in the form in which a matrix product loses the fewest digits."""
    from torch.nn.functional import normalize

    return rows - center if metric == "l2" else normalize(rows, dim=-1)


def _nearest(query: Tensor, vectors: Tensor, candidates: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    """The k nearest of the candidates, measured directly."""
    import torch

    candidates = candidates.sort(1).values
    measure = _euclidean if metric == "l2" else _cosine
    height = max(1, BLOCK // (candidates.shape[1] * query.shape[1]))
    parts = zip(torch.split(query, height), torch.split(candidates, height), strict=True)
    distances = torch.cat([measure(some[:, None], vectors[near].float()) for some, near in parts])
    ordered, order = distances.sort(stable=True, dim=1)
    return ordered[:, :k], candidates.gather(1, order[:, :k])


def _euclidean(query: Tensor, rows: Tensor) -> Tensor:
    return (rows - query).square_().sum(-1).sqrt_()


def _cosine(query: Tensor, rows: Tensor) -> Tensor:
    """1 - cos as half the squared difference of unit vectors: it keeps the digits of small angles."""
    from torch.nn.functional import normalize

    query, rows = normalize(query, dim=-1), normalize(rows, dim=-1)
    zeros = (query == 0).all(-1).float() + (rows == 0).all(-1).float()
    return (rows - query).square_().sum(-1).add_(zeros).div_(2)
