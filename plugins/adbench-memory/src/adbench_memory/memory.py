"""What the banks of this plugin have in common: vectors in memory, searched with faiss on the CPU, torch elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adbench import UsageError, VectorBank, exact_search
from adbench_memory.collect import Collection

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context


class VectorMemory(VectorBank):
    """A bank that is a matrix of vectors. A subclass's `fit` calls `remember`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: Collection | None = None

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def remember(self, learned: Collection) -> None:
        """Take these vectors in place of all earlier ones."""
        self._learned = learned
        self.__dict__.pop("owners", None)

    @property
    def learned(self) -> Collection:
        """What `fit` or `restore` left here."""
        if self._learned is None:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned

    @property
    def vectors(self) -> Tensor:
        return self.learned.vectors

    @cached_property
    def owners(self) -> Sequence[str]:
        ids = self.learned.ids
        return [ids[number] for number in self.learned.owners.tolist()]

    def search(
        self, query: Tensor, k: int, metric: str = "l2", exclude: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        shortlist = faiss_shortlist if self.vectors.device.type == "cpu" else None
        owners = None if exclude is None else self.owners
        return exact_search(query, self.vectors, k, metric, owners=owners, exclude=exclude, shortlist=shortlist)

    def state(self) -> dict[str, Tensor]:
        import torch

        ids = torch.tensor(list("\0".join(self.learned.ids).encode()), dtype=torch.uint8)
        return {"vectors": self.learned.vectors, "owners": self.learned.owners, "ids": ids}

    def restore(self, state: dict[str, Tensor]) -> None:
        ids = tuple(bytes(state["ids"].tolist()).decode().split("\0"))
        self.remember(Collection(state["vectors"].to(self._device), state["owners"].to(self._device), ids))


def faiss_shortlist(query: Tensor, rows: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    """The k nearest rows of each query by faiss's exhaustive search: squared distances for l2, - q·v for cosine.

    On a CPU it takes less time than a matrix product and topk in torch, more so the larger the bank
    (``benchmarks/search.py``), as it keeps the best while the products are in the cache.
    """
    import faiss
    import torch

    measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    near, index = faiss.knn(query.contiguous().numpy(), rows.contiguous().numpy(), k, metric=measure)
    closeness = torch.from_numpy(near)
    return closeness if metric == "l2" else closeness.neg_(), torch.from_numpy(index)
