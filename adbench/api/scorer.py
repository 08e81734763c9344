"""The third interface: how far from normal."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.api.bank import Bank
from adbench.api.component import Component

if TYPE_CHECKING:
    from adbench.api.comparisons.patch import PatchComparison
    from adbench.api.features import Features, Scores


class Scorer(Component):
    """A scorer: it measures how far each patch is from the content of the bank.

    Attributes:
        bank: the kind of bank that the scorer reads; any subclass will do.
    """

    kind: ClassVar[str] = "scorer"
    bank: ClassVar[type[Bank]]

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """Fields of `Scores` that `score` fills: ``"patches"``, ``"image"`` or both, and perhaps ``"classes"``."""
        return frozenset({"patches"})

    @abstractmethod
    def score(self, query: Features, bank: Any) -> Scores:
        """Scores of a batch, higher is more anomalous; an image's scores do not depend on the rest of the batch.

        Args:
            query: the features of the batch.
            bank: fitted, of the kind that the attribute `bank` names; write that kind as its type.
        """

    def compare(self, query: Features, bank: Any, place: tuple[int, int]) -> PatchComparison:  # noqa: ARG002  optional
        """What the score of one patch is made of, for explanations. Optional; it changes no score.

        Args:
            query: the features of one image.
            bank: as in `score`.
            place: row and column of the patch.

        Returns:
            The comparison, with the reason for each aspect that it lacks.
        """
        from adbench.api.comparisons.patch import PatchComparison

        why = f"{self.title} does not say what its scores are made of"
        return PatchComparison(reasons={"nearest": why, "layers": why, "modes": why})
