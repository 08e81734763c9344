"""The full bank: all patch vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench_memory.collect import collect
from adbench_memory.memory import VectorMemory

if TYPE_CHECKING:
    from adbench import Context, FeatureStream


class Full(VectorMemory):
    """All patch vectors of the normal images, as AnomalyDINO keeps them (arXiv 2405.14529). 4 C bytes a patch.

    Refused before it is built where that is more than the memory that is free.
    """

    name: ClassVar[str] = "full"
    drops: ClassVar[bool] = True

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        self.store(collect(features, ctx.device, self.title), ctx)
