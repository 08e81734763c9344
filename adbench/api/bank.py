"""The second interface: what is normal. There are six kinds of banks; a scorer reads one of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from adbench.api.component import Component
from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.backbone import Weights
    from adbench.api.comparisons.patch import PatchPlace
    from adbench.api.context import Context
    from adbench.api.features import Features, FeatureStream


class Source(str, Enum):
    """The source that a bank learns from; the protocol must allow it, and the record's regime contains it.

    ``labelled`` are the normal training images and a few defective images with their labels; none of them is judged.
    """

    NOTHING = "nothing"
    TRAIN = "train"
    TEST = "test"
    LABELLED = "labelled"


class Bank(Component):
    """Learns what is normal.

    Attributes:
        learns_from: which images `fit` is given.
        passes: how often `fit` walks over them. With more than one, features are kept between the walks; a bank that
            walks more often than it says still works, but pays the backbone again.
        drops: whether `fit` leaves out patches outside a foreground. It is given one where a masker asks for that, and
            where pixels are ignored.

    Fitting twice is the same as fitting once. `state` and `restore` carry everything that `fit` learned, as tensors
    alone (written as safetensors, never pickled).
    """

    kind: ClassVar[str] = "bank"
    learns_from: ClassVar[Source] = Source.TRAIN
    passes: ClassVar[int] = 1
    drops: ClassVar[bool] = False

    @abstractmethod
    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Learn from the stream (training images, test images without labels, or nothing, as `learns_from` says).

        The stream's `labels` are there for a bank alone that learns from ``labelled``.

        Raises:
            AdbenchError: the stream is empty.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything learned, as named tensors."""

    @abstractmethod
    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` gave."""

    def add(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002  whoever can overrides it
        """Learn from more images in addition to the earlier ones. Optional.

        Raises:
            UsageError: this bank learns from all images at once.
        """
        raise UsageError(
            f"{self.title} learns from all images at once and takes no more; fit the detector again with all of them"
        )

    def remove(self, ids: Collection[str]) -> None:  # noqa: ARG002  the same
        """Forget what was learned from these images. Optional.

        Args:
            ids: of images that the bank learned from.

        Raises:
            UsageError: this bank does not know what it learned from which image, or nothing would be left.
        """
        raise UsageError(f"{self.title} cannot forget single images; fit the detector again without them")

    def weights(self) -> tuple[Weights, ...]:
        """Name and sha256 of pretrained weights that the bank loads itself; empty without any. After `prepare`."""
        return ()

    def facts(self) -> Mapping[str, float]:
        """Figures about the fitted bank for the record, such as the recall of an approximate search."""
        return {}

    def losses(self) -> Sequence[float]:
        """The loss of each training step, in order; a run draws them. Empty for a bank that is not trained in steps."""
        return ()


class VectorBank(Bank):
    """Normal vectors to search among."""

    @property
    @abstractmethod
    def vectors(self) -> Tensor:
        """[N, C] float32."""

    @property
    @abstractmethod
    def owners(self) -> Sequence[str]:
        """N ids: the image that each vector comes from. An image never matches itself."""

    def place_of(self, index: int) -> PatchPlace | None:  # noqa: ARG002  whoever keeps places overrides it
        """The place from which a vector comes, for explanations. Optional.

        Args:
            index: of the vector.

        Returns:
            None where the bank does not keep places.
        """
        return None

    def search(
        self, query: Tensor, k: int, metric: str = "l2", exclude: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The k nearest vectors of each query, nearest first; exactly, unless the bank's options say otherwise.

        Of vectors that are equally near, as measured in float32, the one with the lowest index comes first, on every
        device and however many there are. Leaving out vectors costs next to nothing.

        Args:
            query: [Q, C].
            k: how many; at most N.
            metric: ``"l2"`` (Euclidean distance, not squared) or ``"cosine"`` (1 - cosine similarity).
            exclude: an id a query whose own vectors must not be found, or None.

        Returns:
            Distances [Q, k] float32 and indices [Q, k] int64.

        Raises:
            UsageError: k is larger than the bank, the metric is unknown, or an approximate search cannot exclude.
        """
        from adbench.api.search.exact import exact_search

        return exact_search(query, self.vectors, k, metric, owners=self.owners, exclude=exclude)


class AlignedBank(Bank):
    """Normal vectors with their places in the image."""

    @property
    @abstractmethod
    def vectors(self) -> Tensor:
        """[N, H, W, C] float32: one grid of vectors for each normal image."""


class GaussianBank(Bank):
    """Normal as one or many Gaussian distributions."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """[..., C]; leading dimensions [H, W] for one Gaussian a place, [K] for clusters, none for a single one."""

    @property
    @abstractmethod
    def precision(self) -> Tensor:
        """[..., C, C]: inverse covariances, leading dimensions as in `mean`."""


class EnergyBank(Bank):
    """A fitted model that gives the anomaly score of a patch itself: flows, one-class and other end-to-end networks."""

    @abstractmethod
    def energy(self, features: Features) -> Tensor:
        """[B, H, W] float32, higher is more anomalous."""


class ReconstructionBank(Bank):
    """A fitted model that reconstructs features as if they were normal."""

    @abstractmethod
    def reconstruct(self, features: Features) -> Tensor:
        """[B, H, W, C], to be compared with ``features.patches``."""

    def reconstruct_image(self, features: Features) -> Tensor:  # noqa: ARG002  whoever can overrides it
        """[B, D], to be compared with ``features.image``. Optional.

        Raises:
            UsageError: this bank reconstructs patches alone, or learned from no image vectors.
        """
        raise UsageError(
            f"{self.title} reconstructs no image vectors; use a bank that does, such as subspace:image_variance=0.98,"
            " or leave the image vector out of the score"
        )


class PrototypeBank(Bank):
    """A few vectors for normal and for abnormal: prompts, or means of a few labelled examples."""

    @property
    @abstractmethod
    def normal(self) -> Tensor:
        """[K, C]."""

    @property
    @abstractmethod
    def abnormal(self) -> Tensor:
        """[L, C]."""
