"""The neighbours of a vector, and the distances to them: what PatchCore's weight (Eq. 7) is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import VectorBank


def neighbourhood(
    bank: VectorBank, known: Tensor, count: int, metric: str, exclude: Sequence[str] | None = None
) -> Tensor:
    """Indices [B, count] of the vectors nearest to the vectors `known` [B]; each of these comes first itself.

    Fewer where the bank has fewer. `exclude` holds an id a row, whose own vectors do not count.
    """
    import torch

    owned = Counter(bank.owners) if exclude is not None else Counter[str]()
    reachable = len(bank.vectors) - max((owned[name] for name in exclude or ()), default=0)
    _, around = bank.search(bank.vectors[known], min(count, reachable), metric, exclude=exclude)
    itself = around == known[:, None]  # not always the first: it may have twins, and not even be among the found
    place = torch.where(itself.any(1), itself.int().argmax(1), around.shape[1] - 1)
    around = around.scatter(1, place[:, None], around[:, :1])
    return torch.cat([known[:, None], around[:, 1:]], dim=1)


class KnownNeighbourhoods:
    """The neighbourhoods of a bank's vectors, each searched for once: they do not depend on the images that are scored.

    They are forgotten when the bank has other vectors, and beyond `MOST` of them.
    """

    MOST = 1 << 14

    def __init__(self) -> None:
        self._of: tuple[Tensor | None, dict[tuple[int, int, str], Tensor]] = (None, {})

    def of(self, bank: VectorBank, known: Tensor, count: int, metric: str) -> Tensor:
        """As `neighbourhood` gives them, without exclusions."""
        import torch

        if torch.compiler.is_exporting():
            return neighbourhood(bank, known, count, metric)
        vectors, found = self._of
        if vectors is not bank.vectors or len(found) > self.MOST:
            found = {}
            self._of = (bank.vectors, found)
        keys = [(index, count, metric) for index in known.tolist()]
        new = {key: place for place, key in enumerate(keys) if key not in found}
        if new:
            rows = neighbourhood(bank, known[list(new.values())], count, metric)
            found.update(zip(new, rows, strict=True))
        return torch.stack([found[key] for key in keys])


def distances_between(rows: Tensor, vectors: Tensor, metric: str) -> Tensor:
    """Distances [B, K] from each of `rows` [B, C] to its own `vectors` [B, K, C]."""
    import torch

    if metric == "l2":
        return (vectors - rows[:, None]).square().sum(-1).sqrt()
    return 1 - torch.cosine_similarity(vectors, rows[:, None], dim=-1)
