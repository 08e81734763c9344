"""The common base of this plugin's banks: vectors in memory, and their search."""

from __future__ import annotations

import json
from collections.abc import Collection as Ids
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import DataError, UsageError, VectorBank
from adbench.banks import free_bytes
from adbench.search import ExactIndex, RecordableIndex
from adbench_memory.collect import Collection, bytes_of, text_of
from adbench_memory.index import RETIRED, ApproximateIndex, SearchConfig

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream
    from adbench.comparisons import PatchPlace

HELD_OUT = 1000
"""Vectors, but at most a tenth of them, that the recall of an approximate index is measured on."""


class VectorMemory(VectorBank):
    """A bank that is a matrix of vectors. A subclass's `fit` calls `store`."""

    retired: ClassVar[Mapping[str, tuple[Any, str]]] = RETIRED

    class Config(SearchConfig):
        """Options."""

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: Collection | None = None
        self._exact: ExactIndex | None = None
        self._approximate: ApproximateIndex | None = None
        self._recordable: RecordableIndex | None = None
        self._held_out: Tensor | None = None
        self._facts: Mapping[str, float] = {}

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def store(self, learned: Collection, ctx: Context, facts: Mapping[str, float] = MappingProxyType({})) -> None:
        """Replace all vectors; build the index that the options name, and measure its recall.

        Args:
            learned: the vectors.
            ctx: for the draw of those that are held out while the recall is measured.
            facts: further facts of the bank.
        """
        import torch

        if self.config.index == "exact":
            self._replace(learned, torch.empty(0, dtype=torch.int64), facts)
            return
        total = len(learned.vectors)
        drawn = torch.randperm(total, generator=ctx.generator("index/held-out"))
        self._replace(learned, drawn[: min(HELD_OUT, total // 10)], facts)
        index = self._index()
        recall = {f"recall@{k}": share for k, share in index.recall.items()}
        self._facts = {**facts, **recall, "index_mb": index.megabytes}

    def _replace(self, learned: Collection, held_out: Tensor, facts: Mapping[str, float]) -> None:
        self._learned, self._held_out, self._facts = learned, held_out, facts
        self._exact = self._approximate = None
        self.__dict__.pop("owners", None)

    def add(self, features: FeatureStream, ctx: Context) -> None:
        """Add the vectors of more images to those that are kept.

        A bank of all vectors is then what a fit on all images gives. A coreset is the union of two coresets: it covers
        the old images as before and the new ones as a coreset of theirs does, and is larger than one of all images.
        """
        before, facts = self.learned, self._facts
        self.fit(features, ctx)
        self.store(_joined(before, self.learned), ctx, facts)

    def remove(self, ids: Ids[str]) -> None:
        """Remove the vectors of these images. A coreset may then cover other images less well."""
        import torch

        learned = self.learned
        kept = [number for number, name in enumerate(learned.ids) if name not in set(ids)]
        stays = torch.isin(learned.owners, torch.tensor(kept, device=learned.owners.device))
        if not stays.any():
            raise UsageError(f"{self.title} would be empty without these images; keep one of them")
        if self.config.index != "exact":
            raise UsageError(f"{self.title} has an index={self.config.index} and cannot forget; use index=exact")
        places = torch.full((len(learned.ids),), -1, device=learned.owners.device)
        places[kept] = torch.arange(len(kept), device=places.device)
        names, some = tuple(learned.ids[number] for number in kept), learned.some(stays)
        grids = None if some.grids is None else some.grids[kept]
        left = replace(some, owners=places[some.owners], ids=names, grids=grids)
        self._replace(left, torch.empty(0, dtype=torch.int64), self._facts)

    def facts(self) -> Mapping[str, float]:
        """The recall and size of an approximate index; the recall is on vectors that were held out."""
        return self._facts

    @property
    def learned(self) -> Collection:
        """The vectors from `fit` or `restore`."""
        if self._learned is None:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned

    @property
    def vectors(self) -> Tensor:
        return self.learned.vectors

    def place_of(self, index: int) -> PatchPlace | None:
        return self.learned.place_of(index)

    @cached_property
    def owners(self) -> Sequence[str]:
        ids = self.learned.ids
        return [ids[number] for number in self.learned.owners.tolist()]

    def search(
        self, query: Tensor, k: int, metric: str = "l2", exclude: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        if self._recordable is not None:
            return self._recordable.search(query, k, metric)
        if exclude is not None and len(exclude) == len(query) and set(exclude).isdisjoint(self.learned.ids):
            exclude = None  # none of the excluded images is in the bank
        if self.config.index == "exact":
            return self._exactly(metric).search(query, k, exclude)
        if exclude is not None:
            raise UsageError(
                f"{self.title} with index={self.config.index} cannot leave out an image's own vectors; use index=exact"
            )
        if metric != self.config.index_metric:
            raise UsageError(
                f"{self.title} has an index for {self.config.index_metric}, but is asked for {metric}; give it"
                f" index_metric={metric}"
            )
        return self._index().search(query, k)

    def for_export(self) -> VectorMemory:
        """The bank with a search that is one matrix product.

        Raises:
            UsageError: the search is approximate, and depends on an index that no other program has.
        """
        if self.config.index != "exact":
            raise UsageError(
                f"{self.title} with index={self.config.index} cannot be exported, as its neighbours are those that an"
                " index finds; fit it with index=exact"
            )
        twin = copy(self)
        twin._recordable = RecordableIndex(self.vectors)  # noqa: SLF001  its own
        return twin

    def _exactly(self, metric: str) -> ExactIndex:
        """The exact index over the vectors; it keeps their prepared form if memory has room for it twice."""
        if self._exact is None or self._exact.metric != metric:
            self._exact = None
            keep = 2 * self.vectors.nbytes < free_bytes(self._device)
            self._exact = ExactIndex(self.vectors, metric, owners=self.owners, keep=keep, share=True)
        return self._exact

    def _index(self) -> ApproximateIndex:
        if self._approximate is None:
            assert self._held_out is not None
            self._approximate = ApproximateIndex(self.vectors, self.config, self._held_out)
        return self._approximate

    def state(self) -> dict[str, Tensor]:
        """The vectors, owners and facts. The index is not in it: the same vectors and draws build it again."""
        learned, held_out = self.learned, self._held_out
        assert held_out is not None
        texts = {"ids": bytes_of("\0".join(learned.ids)), "facts": bytes_of(json.dumps(dict(self._facts)))}
        placed = {"places": learned.places, "grids": learned.grids}
        known = {name: tensor for name, tensor in placed.items() if tensor is not None}
        return {"vectors": learned.vectors, "owners": learned.owners, "held_out": held_out, **texts, **known}

    def restore(self, state: dict[str, Tensor]) -> None:
        vectors, owners = state["vectors"].to(self._device), state["owners"].to(self._device)
        ids = tuple(text_of(state["ids"]).split("\0"))
        learned = Collection(vectors, owners, ids, *_checked_places(state, len(vectors), len(ids)))
        self._replace(learned, state["held_out"], json.loads(text_of(state["facts"])))


def _joined(first: Collection, second: Collection) -> Collection:
    """The vectors of two collections of different images."""
    import torch

    vectors = torch.cat([first.vectors, second.vectors])
    owners = torch.cat([first.owners, second.owners + len(first.ids)])
    ids, grids = first.ids + second.ids, _both(first.grids, second.grids)
    return Collection(vectors, owners, ids, _both(first.places, second.places), grids)


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Places of two collections; None if those of one were not kept."""
    import torch

    return None if first is None or second is None else torch.cat([first, second])


def _checked_places(state: dict[str, Tensor], vectors: int, images: int) -> tuple[Tensor | None, Tensor | None]:
    """Places and grids of a state; both None in a state of before places were kept.

    Raises:
        DataError: their shapes do not fit the vectors.
    """
    if "places" not in state or "grids" not in state:
        return None, None
    places, grids = state["places"].cpu(), state["grids"].cpu()
    if places.shape != (vectors, 2) or grids.shape != (images, 2):
        raise DataError("the places of patches are not one for each vector; the state is damaged")
    return places, grids
