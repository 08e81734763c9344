"""The weights that a component's options name: found first, then given to a model, then written into the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from adbench.api.backbone import Weights
from adbench.api.networks.checkpoints import best_part
from adbench.api.networks.weights import random_weights, read_state_dict, refuse_missing, seeded, weights_of

if TYPE_CHECKING:
    from torch import Tensor

    State = dict[str, Tensor]

Located = tuple[Path, str]
"""A weights file, and the name under which a record knows it."""


@dataclass(frozen=True)
class WeightsSource:
    """The source of a model's weights, before anything is read.

    Attributes:
        path: the weights file; None for random weights.
        name: the name under which a record knows the weights.
        seed: what decides random weights.
    """

    path: Path | None
    name: str
    seed: int

    def seeded(self) -> AbstractContextManager[None]:
        """Build the model in this block: its initial weights depend on the seed alone."""
        return seeded(self.seed)

    def read(self, fits: Callable[[State], int]) -> State | None:
        """The named tensors of the file that belong to the model; None for random weights.

        Args:
            fits: how many names of the model a set of tensors has; the best of the file's parts is taken.

        Raises:
            WeightsError: the file is damaged, or holds something else than named tensors.
        """
        return None if self.path is None else best_part(read_state_dict(self.path), fits)

    def provenance(self, initial: Mapping[str, Tensor]) -> Weights:
        """Name and sha256 of the weights, as a record has them.

        Args:
            initial: the state dict of the model as it was built, which random weights are.
        """
        return random_weights(initial, self.seed) if self.path is None else weights_of(self.path, self.name)


def resolve_weights(
    option: Path | Literal["pretrained", "random"], seed: int, pretrained: Callable[[], Located]
) -> WeightsSource:
    """Find the weights that the option ``weights`` names, before torch is imported and a model is built.

    Args:
        option: the value of a `WeightsOption`.
        seed: what decides random weights.
        pretrained: finds the file of the pretrained weights, and the name under which a record knows it; called for
            ``"pretrained"`` alone, and usually a `hub_file`.

    Raises:
        WeightsError: there is no such file, or `pretrained` cannot find it.
    """
    if option == "random":
        return WeightsSource(None, option, seed)
    path, name = (option, option.name) if isinstance(option, Path) else pretrained()
    refuse_missing(path)
    return WeightsSource(path, name, seed)
