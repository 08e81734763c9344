"""The data between components: batches of images, and their features and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from adbench.api.geometry import Geometry
from adbench.errors import ContractError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Prepared images of one size.

    Attributes:
        ids: one id an image, unique within the dataset.
        images: [B, 3, H0, W0] float32, RGB, 0 to 1, not normalised: a backbone applies the mean and std of its weights.
        geometry: one a image.
    """

    ids: tuple[str, ...]
    images: Tensor
    geometry: tuple[Geometry, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Features:
    """The features of a batch, from a backbone and its necks.

    Attributes:
        ids: one id an image.
        geometry: one an image.
        patches: [B, H, W, C] float, one vector for each place of the patch grid, or None before a neck merged `layers`.
        layers: named feature maps [B, H_l, W_l, C_l] of growing depth, or None.
        image: [B, D] float, one vector an image, or None.
        foreground: [B, H, W] bool, True where the object is, or None.
        images: [B, 3, H0, W0] float32, the prepared images themselves.
        ignored: one [H0, W0] bool an image, True on pixels of the prepared image that nobody looks at, or None.
    """

    ids: tuple[str, ...]
    geometry: tuple[Geometry, ...]
    patches: Tensor | None = None
    layers: dict[str, Tensor] | None = None
    image: Tensor | None = None
    foreground: Tensor | None = None
    images: Tensor | None = None
    ignored: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def having(self, **fields: Any) -> Features:
        """A copy with these fields replaced."""
        return replace(self, **fields)

    def need_patches(self, who: str) -> Tensor:
        """`patches`, or a `ContractError` that tells `who` what is missing."""
        if self.patches is None:
            raise ContractError(who, "it reads patches, but no stage before it makes any; add the neck 'concat-layers'")
        return self.patches

    def object_patches(self, who: str) -> tuple[Tensor, list[int]]:
        """The patches of the objects, image after image [N, C], and how many each image has; all without a foreground.

        Raises:
            ContractError: there are no patches; the message tells `who` reads them.
        """
        patches = self.need_patches(who)
        if self.foreground is None:
            return patches.flatten(0, 2), [patches.shape[1] * patches.shape[2]] * len(self)
        return patches[self.foreground.to(patches.device)], self.foreground.flatten(1).sum(1).tolist()

    def need_layers(self, who: str) -> dict[str, Tensor]:
        """`layers`, or a `ContractError` that tells `who` what is missing."""
        if self.layers is None:
            raise ContractError(who, "it reads layers, but the backbone gives none; name several layers")
        return self.layers

    def need_image(self, who: str) -> Tensor:
        """`image`, or a `ContractError` that tells `who` what is missing."""
        if self.image is None:
            raise ContractError(who, "it reads the image vector, but the backbone gives none")
        return self.image


class FeatureStream(ABC):
    """Features of many images, a batch at a time, as often as wanted; never all of them in memory at once.

    Batches follow one another in the order of `ids`, in which an image that is shown in several views comes once for
    each. All features of one batch have the same grid; another batch may have another.
    """

    @property
    @abstractmethod
    def ids(self) -> Sequence[str]:
        """The images' ids, in order."""

    @property
    def labels(self) -> Mapping[str, int]:
        """The class of each image by its id: 0 for normal, 1 and up for the types of defects.

        Empty but for banks that learn from ``Source.LABELLED``. The numbers stand for no names.
        """
        return {}

    @abstractmethod
    def __iter__(self) -> Iterator[Features]:
        """Start from the first image again."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Scores:
    """The scores of a batch; higher is more anomalous.

    Attributes:
        patches: [B, H, W] float32, one score for each place of the patch grid, or None for methods without a map.
        image: [B] float32, the scorer's own score of the whole image, or None. Read by the aggregator ``scorer``.
        classes: [B, K] float32, probabilities of the classes of labelled images, which add up to 1; or None. The first
            is normal. There is one for each type of defect that the bank was shown, or a single one for all of them.
    """

    patches: Tensor | None = None
    image: Tensor | None = None
    classes: Tensor | None = None


@dataclass(frozen=True)
class ImageScores:
    """All that is known of one test image when its scores are aggregated.

    Attributes:
        id: the image's id.
        patches: [H, W] float32 or None.
        image: the scorer's own image score or None.
        vector: [D] the backbone's image vector or None.
        foreground: [H, W] bool, where the object is, or None for everywhere.
        size: height and width of the prepared image in pixels, or None where it is unknown.
        ignored: [H, W] bool, patches that nobody looks at, or None; an aggregator is given the others.
        classes: [K] float32, probabilities of classes, or None.
        to_map: makes the recipe's anomaly map [H0, W0] of patch scores [H, W]; given to aggregators that read it.
    """

    id: str
    patches: Tensor | None = None
    image: float | None = None
    vector: Tensor | None = None
    foreground: Tensor | None = None
    size: tuple[int, int] | None = None
    to_map: Callable[[Tensor], Tensor] | None = None
    ignored: Tensor | None = None
    classes: Tensor | None = None

    def need_map(self, who: str) -> Tensor:
        """[H0, W0] float32: the anomaly map as the recipe makes it, on the pixels of the prepared image.

        It is made anew in each call. Where patches outside the object are dropped, it is still that of the whole image.
        Where pixels are ignored, it is the others in one row [1, N].

        Raises:
            ContractError: there are no patch scores, or `who` is no aggregator whose `reads` is ``"map"``.
        """
        if self.patches is None or self.to_map is None:
            raise ContractError(who, "it reads the anomaly map, which is there for aggregators with reads='map' alone")
        return self.to_map(self.patches)

    def of_object(self) -> ImageScores:
        """With the patches of the object alone, in one row [1, N]."""
        return self if self.foreground is None else self._having(self.foreground)

    def looked_at(self) -> ImageScores:
        """With the patches alone that are not ignored, in one row [1, N]."""
        return self if self.ignored is None else self._having(~self.ignored)

    def _having(self, kept: Tensor) -> ImageScores:
        if self.patches is None:
            return self
        whole, make, ignored = self.patches, self.to_map, self.ignored

        def to_map(_: Tensor) -> Tensor:
            assert make is not None
            found = make(whole)
            return found if ignored is None else found[~_enlarged(ignored, found)][None]

        way = None if make is None else to_map
        return replace(self, patches=whole[kept][None], foreground=None, ignored=None, to_map=way)


def _enlarged(patches: Tensor, pixels: Tensor) -> Tensor:
    """[H0, W0] bool: for each pixel of a map its patch, of a mask [H, W] of patches."""
    import torch

    rows, columns = (
        torch.arange(length) * cells // length for length, cells in zip(pixels.shape, patches.shape, strict=True)
    )
    return patches[rows][:, columns]
