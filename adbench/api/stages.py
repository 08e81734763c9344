"""The stages around the three interfaces: augmenters, preprocessors, necks, maskers and aggregators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adbench.api.component import Component, Field

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.backbone import Weights
    from adbench.api.context import Context
    from adbench.api.features import Features, FeatureStream, ImageScores
    from adbench.api.geometry import Geometry, Tiling


class Augmenter(Component):
    """Shows normal images in several views, so that what is learned from them knows a turn, or another light.

    Only images to learn from are shown so, as the dataset gives them, before their preparation; test images never are.
    Every view goes by its image's id, so that whoever leaves out an image leaves out all its views.
    """

    kind: ClassVar[str] = "augmenter"

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of views beside the image itself; at least one."""

    @abstractmethod
    def view(self, image: Tensor, number: int) -> Tensor:
        """One view of an image: [3, H, W] of the same size, type and range, which the image alone decides.

        Args:
            image: [3, H, W] uint8 (0 to 255).
            number: which view, from 0 to `count` - 1.
        """


class Preprocessor(Component):
    """Prepares one image and records how to undo it.

    Attributes:
        turns: whether the step may turn an image by what it shows (`Geometry.warp`); a record counts the test images
            that were turned.
    """

    kind: ClassVar[str] = "preprocessor"
    turns: ClassVar[bool] = False

    @property
    def tiling(self) -> Tiling | None:
        """The tiles in which a backbone reads the prepared image; None where it reads the image as a whole.

        Optional. A step with tiles is the last one of a preparation, and gives images of a size that its tiles cover.
        """
        return None

    @abstractmethod
    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        """The image after this step, and where its pixels now lie.

        Args:
            image: [3, H, W], uint8 (0 to 255) or float32 (0 to 1).
            geometry: where its pixels lie in the original.
        """


class Neck(Component):
    """Changes features: merges layers, pools neighbourhoods, projects, normalises."""

    kind: ClassVar[str] = "neck"
    learns: ClassVar[bool] = False

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        """Fields of `Features` that are there after the neck whether or not they were before."""
        return frozenset()

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Learn from the normal images' features; called once, only where `learns` is True."""

    def state(self) -> dict[str, Tensor]:
        """Everything that `fit` learned, as named tensors; empty for a neck that learns nothing."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""

    @abstractmethod
    def apply(self, features: Features) -> Features:
        """The changed features; the input is left as it is."""

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int] | None:  # noqa: ARG002  optional
        """How many channels of the patches come from each layer after this neck, for explanations. Optional.

        Args:
            widths: the channels of each layer before this neck, in order: of the layers themselves, or of the patches
                in which layers lie side by side.

        Returns:
            The same after this neck, in order; None where the neck mixes layers, or nobody has said.
        """
        return None


class Masker(Component):
    """Finds the object, so that the background can be left out.

    What that means is for every masker an option. By default a patch outside the object scores lowest in its image, as
    in AnomalyDINO's code, and normal images are learned from whole.
    """

    kind: ClassVar[str] = "masker"
    came_later: ClassVar[frozenset[str]] = frozenset({"bank", "test"})

    class Config(Component.Config):
        """Options of every masker."""

        bank: Literal["keep", "drop"] = Field(
            "keep", description="normal patches outside the object: learned from, or left out of the bank"
        )
        test: Literal["lowest", "drop"] = Field(
            "lowest", description="test patches outside the object: score lowest, or do not count for the image score"
        )

    config: Config

    @abstractmethod
    def mask(self, features: Features) -> Tensor:
        """[B, H, W] bool on the patch grid, True where the object is.

        Where it leaves nothing of an image, the rule does not fit that image: the framework then sees the image whole,
        and counts it in the record.
        """

    def weights(self) -> tuple[Weights, ...]:
        """Name and sha256 of everything that was loaded; empty for a masker without weights. After `prepare`."""
        return ()


class Aggregator(Component):
    """Turns patch scores into one score an image."""

    kind: ClassVar[str] = "aggregator"
    reads: ClassVar[Literal["patches", "image", "both", "map"]] = "patches"
    """What the aggregator reads: patch scores, the scorer's image score, both, or the anomaly map made of patch scores
    (`ImageScores.need_map`)."""
    alone: ClassVar[bool] = True
    """Whether an image's score is the same whatever other images are scored with it."""

    @abstractmethod
    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        """[N] float32 for the N images of the whole test set, in order. Grids may differ between images."""
