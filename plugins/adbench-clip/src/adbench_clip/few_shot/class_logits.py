"""The common base of scorers that compare an image vector with labelled exemplars: one logit for each class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Features, Scorer, Scores, UsageError
from adbench_clip.few_shot.exemplar_bank import ExemplarBank

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.01
"""The temperature at which CLIP's training ends (arXiv 2103.00020, section 2.5)."""


class ClassScorer(Scorer):
    """A scorer of whole images by the logits of classes, of which class 0 is normal.

    The image score is the log-odds of any defect under the softmax of the logits. It orders images as the probability
    of a defect does, and does not round to 1. The classes have the softmax itself.
    """

    bank: ClassVar[type[Bank]] = ExemplarBank  # type: ignore[type-abstract]
    needs = frozenset({"image"})

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"image", "classes"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The bank of exemplars, and the scorer's own image score."""
        return {"bank": "exemplars", "aggregate": "scorer"}

    @abstractmethod
    def logits(self, vectors: Tensor, bank: Any) -> Tensor:
        """[B, K] logits of unit vectors [B, D]; the first one is that of normal."""

    def score(self, query: Features, bank: Any) -> Scores:
        vectors = unit_vectors(query, bank, self.title)
        logits = self.logits(vectors, bank)
        return Scores(image=log_odds(logits), classes=logits.float().softmax(1))


def unit_vectors(query: Features, bank: ExemplarBank, who: str) -> Tensor:
    """[B, D] float32: a query's image vectors at unit length, on the bank's device.

    Raises:
        UsageError: they have another width than the exemplars.
    """
    from torch.nn.functional import normalize

    vectors = query.need_image(who).to(bank.vectors)
    if vectors.shape[1] != bank.vectors.shape[1]:
        raise UsageError(
            f"{who}: the exemplars of {bank.title} have {bank.vectors.shape[1]} channels, and the query has"
            f" {vectors.shape[1]}; fit the bank on the same backbone"
        )
    return normalize(vectors, dim=1)


def log_odds(logits: Tensor) -> Tensor:
    """[B] float32: log P(any defect) - log P(normal) under the softmax of logits [B, K]; the first is normal."""
    odds: Tensor = logits[:, 1:].logsumexp(1) - logits[:, 0]
    return odds.float()


def classes_of(bank: ExemplarBank) -> list[int]:
    """The classes of a bank's exemplars, ascending; the first is normal."""
    return sorted(set(bank.classes.tolist()))
