"""The contract of an adapter: one of anomalib's networks, how it learns and what it answers, without its `Engine`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError, WeightsError
from adbench.training import Optimization

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench.weights import WeightsSource
    from adbench_anomalib.examples import Examples, Layout, Shown

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, by which anomalib's preparation normalises."""


@dataclass(frozen=True)
class Answer:
    """What a model says of some images.

    Attributes:
        maps: [B, H, W] float32 on the pixels of the prepared images.
        scores: [B] float32, the model's own score of each image.
    """

    maps: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Setting:
    """The options that an adapter reads.

    Attributes:
        who: the bank, as messages write it.
        steps: of the training.
        rate: learning rate; None for the model's own.
        architecture: name of the network; None for the model's own.
        auxiliary: folder of images that are no part of the dataset, or None.
        weights: of the network that the model brings itself; None where it brings none.
    """

    who: str
    steps: int
    rate: float | None = None
    architecture: str | None = None
    auxiliary: Path | None = None
    weights: WeightsSource | None = None


class Adapter(ABC):
    """One of anomalib's models.

    Attributes:
        reads: ``"layers"`` of the recipe's backbone, which stand for the model's frozen encoder, ``"images"``, or both.
        rate: learning rate, as anomalib's.
        clip: the largest norm of all gradients; 0 for no limit.
        architectures: names of networks that the model may have; None where any name of timm's will do.
        usual: the usual one; empty for a model that has one form alone.
        multiple: sides of images must be a multiple of this.
        least: the shortest side of an image in pixels.
        square: whether images must be as high as wide.
        held_out: share of the images that nothing is trained on, which `finish` is shown.
        wants_auxiliary: what the folder of other images must hold; empty for a model that needs none.
        own: whether the model brings a pretrained network itself.

    Args:
        setting: the options.

    Raises:
        UsageError: the model has no such architecture.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"images"})
    rate: ClassVar[float]
    clip: ClassVar[float] = 0.0
    usual: ClassVar[str] = ""
    architectures: ClassVar[tuple[str, ...] | None] = ()
    multiple: ClassVar[int] = 1
    least: ClassVar[int] = 1
    square: ClassVar[bool] = False
    held_out: ClassVar[float] = 0.0
    wants_auxiliary: ClassVar[str] = ""
    own: ClassVar[bool] = False

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._require_architecture()

    @property
    def architecture(self) -> str:
        """The name of the network."""
        return self.setting.architecture or self.usual

    def _require_architecture(self) -> None:
        if self.architectures is None or self.architecture in (*self.architectures, self.usual):
            return
        choice = f"name one of {', '.join(self.architectures)}" if self.architectures else "leave the option out"
        raise UsageError(f"{self.setting.who} has no architecture {self.architecture!r}; {choice}")

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        """The file of the model's own pretrained network, and its name for a record.

        Raises:
            WeightsError: it cannot be had.
        """
        raise WeightsError(f"there are no pretrained weights of {architecture}; give weights=PATH")

    def require_auxiliary(self) -> None:
        """Refuse to start without the folder of other images that the model needs.

        Raises:
            UsageError: none is given.
        """
        if self.wants_auxiliary and self.setting.auxiliary is None:
            who = self.setting.who
            raise UsageError(f"{who} learns from {self.wants_auxiliary}, too; give auxiliary=FOLDER of them")

    def require_size(self, size: tuple[int, int]) -> None:
        """Refuse images that the network cannot read.

        Raises:
            UsageError: sides are no multiples, too short, or not equal.
        """
        height, width = size
        if self.square and height != width:
            raise UsageError(
                f"{self.setting.who} reads square images alone, not {height} x {width}; resize them to one side"
            )
        if height % self.multiple or width % self.multiple or min(size) < self.least:
            needs = f"sides that are multiples of {self.multiple}" if self.multiple > 1 else "sides"
            raise UsageError(
                f"{self.setting.who} reads images with {needs} and have at least {self.least} pixels, not"
                f" {height} x {width}; resize them"
            )

    @abstractmethod
    def network(self, layout: Layout) -> Any:
        """Anomalib's network with initial weights, on the CPU; whatever is frozen requires no gradient.

        Args:
            layout: of the images that it will be shown.
        """

    @abstractmethod
    def learned(self, network: Any) -> nn.ModuleDict:
        """The parts that learn, and what `begin` and `finish` set: all that is stored."""

    def brought(self, network: Any) -> nn.Module:
        """The pretrained part of a model that brings one itself."""
        raise NotImplementedError

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        """The optimiser of all parameters that learn."""
        import torch

        return torch.optim.Adam(parameters, lr=rate)

    def factor(self, done: float) -> float:  # noqa: ARG002  most rates are fixed
        """The learning rate's factor.

        Args:
            done: the share of the steps that was taken, from 0 to 1.
        """
        return 1.0

    def begin(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
        """Set what is fixed before training, from the images that are trained on; by default nothing."""

    def finish(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
        """Set what is fixed after training, from the images that were held out; by default nothing."""

    @abstractmethod
    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:
        """The loss of a batch, a scalar. It may draw from torch's global generator, which the bank has seeded.

        Args:
            network: in training mode.
            shown: the batch.
            step: number of the step, from 0.
        """

    @abstractmethod
    def answer(self, network: Any, shown: Shown) -> Answer:
        """The model's own maps and scores, before anything that would make them equal for strong defects."""


class AdaptedOptimization(Optimization):
    """The optimiser of an adapter: its rates by the share of steps taken, and its limit on gradients.

    Attributes:
        step: the number of the current step, from 0.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._rates: list[float] = []
        self._made: Optimizer | None = None
        self.step = 0

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        adapter = self._adapter
        self._made = adapter.optimizer(parameters, adapter.setting.rate or adapter.rate)
        self._rates = [group["lr"] for group in self._made.param_groups]
        if adapter.clip:
            self._made.register_step_pre_hook(self._clip)
        return self._made

    def before_step(self, step: int) -> None:
        assert self._made is not None
        self.step = step
        for group, rate in zip(self._made.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._adapter.factor(step / self._adapter.setting.steps)

    def _clip(self, optimizer: Optimizer, *_: object) -> None:
        import torch

        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self._adapter.clip)


def normalised(images: Tensor) -> Tensor:
    """Images [B, 3, H, W] by ImageNet's mean and spread."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


def told(given: Any, shown: Shown) -> Tensor:
    """Give the layers to the stand-in for a network's encoder; returns the images to call the network with."""
    from adbench_anomalib.models.given import blank

    given.held = shown.layers
    return blank(shown.size, shown.layers[0])
