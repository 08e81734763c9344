"""The bank of labelled image vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adbench import Context, FeatureStream, UsageError
from adbench_clip.few_shot.exemplar_bank import ExemplarBank, read_exemplars

if TYPE_CHECKING:
    from torch import Tensor


class LabelledExemplars(ExemplarBank):
    """The unit image vectors of all normal and of a few labelled defective images (Megahed et al., arXiv 2501.12596).

    The protocol has to allow labels. Any backbone that gives an image vector will do.
    """

    name = "exemplars"

    def __init__(self, /, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Keep the vectors.

        Raises:
            DataError: there is no normal or no labelled defective image.
        """
        self._learned = read_exemplars(features, ctx.device, self.title)._asdict()

    @property
    def vectors(self) -> Tensor:
        return self._known("vectors")

    @property
    def classes(self) -> Tensor:
        return self._known("classes")

    @property
    def normal(self) -> Tensor:
        return self.vectors[self.classes == 0]

    @property
    def abnormal(self) -> Tensor:
        return self.vectors[self.classes > 0]

    def _known(self, name: str) -> Tensor:
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[name]

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = {name: tensor.to(self._device) for name, tensor in state.items()}

    def facts(self) -> Mapping[str, float]:
        """The numbers of normal and defective exemplars, and of types of defects."""
        return {
            "normal_exemplars": float(len(self.normal)),
            "defect_exemplars": float(len(self.abnormal)),
            "defect_types": float(len(set(self.classes.tolist())) - 1),
        }
