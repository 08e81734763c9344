"""The bank of labelled image vectors and of prompts: the cache and the text classifier of Tip-Adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from adbench import Context, FeatureStream, Source
from adbench_clip.few_shot.exemplar_bank import ExemplarBank, read_exemplars
from adbench_clip.prompts import Prompts

if TYPE_CHECKING:
    from torch import Tensor

VECTORS, CLASSES = "exemplars", "classes"


class ExemplarsPrompts(Prompts, ExemplarBank):
    """The text embeddings of `prompts` and the exemplars of `exemplars` (Tip-Adapter, arXiv 2111.03930, section 3.1).

    ``normal`` and ``abnormal`` are text. Its model must be the backbone's.
    """

    name = "exemplars-prompts"
    learns_from: ClassVar[Source] = Source.LABELLED
    needs = frozenset({"image"})

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Read the prompts, and keep the vectors.

        Raises:
            DataError: there is no normal or no labelled defective image.
            UsageError, WeightsError: as `prototypes`.
        """
        vectors, classes = read_exemplars(features, ctx.device, self.title)
        self._learned = {**self.prototypes(ctx), VECTORS: vectors, CLASSES: classes}

    @property
    def vectors(self) -> Tensor:
        return self._known(VECTORS)

    @property
    def classes(self) -> Tensor:
        return self._known(CLASSES)

    def facts(self) -> Mapping[str, float]:
        """The facts of `prompts`, and the numbers of normal and defective exemplars."""
        defective = float((self.classes > 0).sum())
        counts = {"normal_exemplars": len(self.classes) - defective, "defect_exemplars": defective}
        return {**super().facts(), **counts}
