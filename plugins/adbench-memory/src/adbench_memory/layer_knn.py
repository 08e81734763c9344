"""The scorer by the nearest normal vector of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Scorer, Scores
from adbench_memory.layer_coresets import LayerCoresets

if TYPE_CHECKING:
    from adbench import Features


class LayerKnn(Scorer):
    """A place's score is the mean over the layers of the distance to the nearest kept vector of the same layer."""

    name: ClassVar[str] = "layer-knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = LayerCoresets
    needs: ClassVar[frozenset[str]] = frozenset({"layers"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": LayerCoresets.name, "aggregate": {"map-top-fraction": {"fraction": 0.001}}}

    def score(self, query: Features, bank: LayerCoresets) -> Scores:
        return Scores(bank.energy(query))
