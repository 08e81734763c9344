"""The first interface: image to patch features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.api.component import Component
from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.features import Batch, Features
    from adbench.api.training.tuner import Trainable


@dataclass(frozen=True)
class Weights:
    """The weights that a backbone runs on.

    Attributes:
        name: where they come from, such as ``"owner/model"`` or a file's name; ``"random"`` if untrained.
        sha256: of the content, in hex.
    """

    name: str
    sha256: str

    @property
    def random(self) -> bool:
        """Whether they were never trained; such rows are marked on every board."""
        return self.name == "random" or self.name.startswith("random:")


class Backbone(Component):
    """Turns prepared images into features.

    A backbone normalises its input itself, runs in eval mode without gradients, and answers for each image alone: the
    features of an image do not depend on the rest of the batch.

    Attributes:
        tunable: whether it is a torch network that a tuner may train: then `trainable` and `take` are there.
    """

    kind: ClassVar[str] = "backbone"
    tunable: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def provides(cls, config: Any) -> frozenset[str]:
        """Fields of `Features` that `extract` fills: a subset of ``{"patches", "layers", "image", "text"}``.

        Args:
            config: the validated options (an instance of `Config`). Nothing is loaded for it.
        """

    @abstractmethod
    def extract(self, batch: Batch) -> Features:
        """Features of a batch; tensors may be on any device and of any floating type."""

    @abstractmethod
    def weights(self) -> tuple[Weights, ...]:
        """Name and sha256 of everything that was loaded; empty for a backbone without weights. After `prepare`."""

    @property
    def runtime(self) -> str:
        """The runtime in the record: ``"torch"``, ``"onnxruntime"``, ``"openvino"``. Known after `prepare`."""
        return "torch"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about events in `prepare`, such as a runtime that cannot be used."""
        return ()

    def trainable(self) -> Trainable:
        """A copy of the network with the weights of now, for a tuner. Optional; after `prepare`.

        Raises:
            UsageError: the backbone is no torch network.
        """
        raise UsageError(f"{self.title} is no torch network, so that no tuner can train it; choose another backbone")

    def take(self, state: Mapping[str, Tensor], weights: Weights) -> None:  # noqa: ARG002  whoever is tunable has it
        """Compute with other weights from now on. Optional; after `prepare`.

        Args:
            state: the state dict of `trainable`'s network.
            weights: their name and sha256.

        Raises:
            UsageError: the backbone is no torch network.
            WeightsError: the weights are those of another network.
        """
        raise UsageError(f"{self.title} is no torch network, so that it takes no tuned weights; choose another one")
