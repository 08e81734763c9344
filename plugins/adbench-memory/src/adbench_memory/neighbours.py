"""The common options of the neighbour scorers: how distances to neighbours become a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from adbench import Component, Field

if TYPE_CHECKING:
    from torch import Tensor


class NeighbourConfig(Component.Config):
    """Options."""

    k: int = Field(1, ge=1, description="neighbours whose distances are averaged")
    metric: Literal["l2", "cosine"] = Field("l2", description="l2: Euclidean distance; cosine: 1 - cosine similarity")
    squared: bool = Field(
        False, description="square Euclidean distances before they are averaged, as PatchCore's authors' code does"
    )

    @model_validator(mode="after")
    def _squares_are_of_lengths(self) -> Any:
        if self.squared and self.metric != "l2":
            raise ValueError("squared goes with metric=l2: a cosine distance is no length")
        return self

    def mean(self, distances: Tensor) -> Tensor:
        """The mean [Q] of the distances [Q, k] to the neighbours."""
        return (distances.square() if self.squared else distances).mean(1)
