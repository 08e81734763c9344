"""The views in which an augmenter shows an image, as what reads images takes them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from adbench.api.stages import Augmenter
from adbench.engine.features.contract import check_view, naming_component


@dataclass(frozen=True)
class View:
    """One view: a function from an image [3, H, W] to an image of its size."""

    augmenter: Augmenter
    number: int

    def __call__(self, image: Tensor) -> Tensor:
        with naming_component(self.augmenter, "view"):
            seen = self.augmenter.view(image, self.number)
            check_view(self.augmenter, image, seen)
        return seen


def views_of(augmenter: Augmenter | None) -> list[View | None]:
    """All views of a normal image, of which the first, None, is the image itself."""
    return [None] if augmenter is None else [None, *(View(augmenter, number) for number in range(augmenter.count))]
