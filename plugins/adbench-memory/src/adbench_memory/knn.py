"""The scorer by the distance to the nearest normal vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from adbench import Bank, Field, Scorer, Scores, Source, VectorBank
from adbench.comparisons import PatchComparison, compare_with_nearest
from adbench.search import ReweightForm, patchcore_weight
from adbench_memory.neighbours import NeighbourConfig
from adbench_memory.reweight import KnownNeighbourhoods, distances_between, neighbourhood

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features


class Knn(Scorer):
    """A patch's score is its mean distance to its k nearest normal vectors; 0 outside the foreground.

    With `reweight`, the image's own score is that of its highest patch times PatchCore's weight, which is high where
    the nearest normal vector is itself a rarity (arXiv 2106.08265, Eq. 7); without, an aggregator makes that score.
    """

    name: ClassVar[str] = "knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = VectorBank  # type: ignore[type-abstract]

    class Config(NeighbourConfig):
        """Options."""

        reweight: int = Field(
            0, ge=0, description="neighbours of the nearest normal vector that weigh the image score; 0: no image score"
        )
        reweight_form: ReweightForm = Field(
            "eq7",
            description="eq7: that many other vectors, as the paper has it; anomalib: the nearest vector itself counts "
            "as the first of them, and stands for the numerator",
        )

        @model_validator(mode="after")
        def _plain_where_weighed(self) -> Any:
            if self.squared and self.reweight:
                raise ValueError("squared goes without reweight: Eq. 7 weighs plain distances")
            return self

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._neighbourhoods = KnownNeighbourhoods()

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"} if config.reweight else {"patches"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The bank `full`; the scorer's image score if it has one, else the top 1 % for cosine, the maximum for l2."""
        plain = {"top-fraction": {"fraction": 0.01}} if config.metric == "cosine" else "max"
        return {"bank": {"full": {}}, "aggregate": "scorer" if config.reweight else plain}

    def score(self, query: Features, bank: Bank) -> Scores:
        import torch

        assert isinstance(bank, VectorBank)
        patches = query.need_patches(self.title)
        places = patches.shape[1] * patches.shape[2]
        own = query.ids if bank.learns_from is Source.TEST else None
        asking = None if own is None else [name for name in own for _ in range(places)]
        distances, nearest = bank.search(patches.flatten(0, 2), self.config.k, self.config.metric, exclude=asking)
        scores = self.config.mean(distances).reshape(patches.shape[:3])
        if query.foreground is not None:
            scores = scores * query.foreground.to(scores.device)
        if not self.config.reweight:
            return Scores(scores)
        highest, place = scores.flatten(1).max(1)
        each = torch.arange(len(query))
        rows = patches.flatten(1, 2)[each, place.to(patches.device)]
        known = nearest[:, 0].reshape(len(query), places)[each, place]
        return Scores(scores, highest * self._weights(rows.to(scores), known, bank, own))

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        assert isinstance(bank, VectorBank)
        return compare_with_nearest(query.need_patches(self.title)[0][place], bank, self.config.metric)

    def _weights(self, rows: Tensor, known: Tensor, bank: VectorBank, own: Sequence[str] | None) -> Tensor:
        """[B] weights of the highest patches `rows` [B, C], whose nearest vectors have the indices `known` [B]."""
        wanted = self.config.reweight + (self.config.reweight_form == "eq7")
        if own is None:
            around = self._neighbourhoods.of(bank, known, wanted, self.config.metric)
        else:
            around = neighbourhood(bank, known, wanted, self.config.metric, own)
        distances = distances_between(rows, bank.vectors[around], self.config.metric)
        return patchcore_weight(distances, self.config.reweight_form)
