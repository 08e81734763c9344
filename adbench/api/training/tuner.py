"""The contract of tuners: they adapt a backbone's network to normal images before anything learns from its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from adbench.api.component import Component

if TYPE_CHECKING:
    from torch import nn

    from adbench.api.context import Context
    from adbench.api.features import Batch


@dataclass(frozen=True)
class Trainable:
    """A backbone's network in the form in which a tuner trains it.

    Attributes:
        network: takes images [B, 3, H, W] of 0 to 1 and gives a list: the maps [B, H_l, W_l, C_l] float32 of growing
            depth, and last the image vectors [B, D], all as `Backbone.extract` gives them. It is on the context's
            device, in float32 and eval mode, and no parameter asks for a gradient.
        blocks: its blocks, of growing depth, for tuners that train the last ones.
    """

    network: nn.Module
    blocks: tuple[nn.Module, ...]


@dataclass(frozen=True)
class Tuned:
    """What a tuner tells of its work; what it learned is in the network.

    Attributes:
        losses: of each step, in order; empty where none was taken.
        facts: figures for the record, such as how far the features spread before and after.
        notes: sentences for the user, such as an alarm.
    """

    losses: Sequence[float] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class BatchStream(ABC):
    """Prepared normal images, a batch at a time, as often as wanted. Images of one batch have one size."""

    @property
    @abstractmethod
    def ids(self) -> Sequence[str]:
        """The images' ids, in order."""

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Start from the first image again."""

    def __len__(self) -> int:
        return len(self.ids)


class Tuner(Component):
    """Adapts the network of a backbone to normal images, once, in a fixed number of steps.

    Banks and scorers then read the features of the adapted network. A tuner sees normal training images only, without
    the views of an augmenter, and takes all its randomness from the context. Where a normal image is left out of a
    bank to find the threshold, the network is tuned without that image, too.
    """

    kind: ClassVar[str] = "tuner"

    @abstractmethod
    def tune(self, trainable: Trainable, images: BatchStream, ctx: Context) -> Tuned:
        """Change the weights of the network, in place.

        Args:
            trainable: the network. Gradients, modes and weights may change, and nothing else: no name, no shape.
            images: the normal images.
            ctx: seed, device, cache, and who watches the progress.

        Raises:
            AdbenchError: there is no image, the network does not fit, or a loss is not finite.
        """
