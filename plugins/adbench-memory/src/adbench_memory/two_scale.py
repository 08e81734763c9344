"""The bank of normal patches and whole normal images."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Features, FeatureStream, Field, UsageError
from adbench.search import RecordableIndex, exact_search
from adbench_memory.coreset import Coreset
from adbench_memory.place_means import PlaceMeans, PlaceSums
from adbench_memory.whitening import whitening

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context


class TwoScale(Coreset):
    """A coreset of patches, and every image's vector in a space where normal images vary equally in all directions.

    The patches are those of `coreset`. Image vectors are standardised channel by channel, then whitened by their
    correlations, shrunk towards none (Ledoit and Wolf 2004, with a weight that is given; Rippel, Mertens and Merhof,
    arXiv 2005.14140, measure whole images so). Distances there are Mahalanobis distances, from one image to another.
    With `places`, the bank knows the mean patch of each place and the covariance around these means, too.
    """

    name: ClassVar[str] = "two-scale"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "image"})
    came_later: ClassVar[frozenset[str]] = frozenset({"places"})

    class Config(Coreset.Config):
        """Options."""

        shrinkage: float = Field(0.1, gt=0, le=1, description="weight of no correlation; 1 only standardises")
        places: int = Field(
            0,
            ge=0,
            le=256,
            description="rows and columns of the grid of mean patches, whatever the images' shape; 0: none",
        )

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._images: dict[str, Tensor] = {}
        self._places: PlaceMeans | None = None

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        places = PlaceSums(self.config.places, self.title) if self.config.places else None
        stream = _WatchedStream(features, self.title, places)
        super().fit(stream, ctx)
        vectors = torch.cat(stream.images).to(ctx.device)
        center, basis = whitening(vectors, self.config.shrinkage)
        self._images = {"center": center, "basis": basis, "images": (vectors - center) @ basis}
        self._places = places.means(ctx.device) if places else None

    def add(self, features: FeatureStream, ctx: Context) -> None:
        """Add the patches and the vectors of more images.

        Spaces and means of places stay those of the images that it was fitted to: its state holds too little of them
        to compute these from all images.
        """
        import torch

        known, places = self._images, self._places
        stream = _WatchedStream(features, self.title, None)
        super().add(stream, ctx)
        vectors = torch.cat(stream.images).to(known["images"])
        added = (vectors - known["center"]) @ known["basis"]
        self._images, self._places = {**known, "images": torch.cat([known["images"], added])}, places

    def remove(self, ids: Collection[str]) -> None:
        """Remove the patches and the vectors of these images; spaces and means of places stay."""
        stay = [name not in set(ids) for name in self.learned.ids]
        super().remove(ids)
        self._images = {**self._images, "images": self._images["images"][stay]}

    @property
    def place_means(self) -> PlaceMeans:
        """The mean patches of all places.

        Raises:
            UsageError: the bank was not asked for them, or learned nothing yet.
        """
        if self._places is None:
            raise UsageError(f"{self.title} knows no mean patches; set its option 'places', such as 32, and fit it")
        return self._places

    def image_distances(self, images: Tensor, k: int = 1) -> Tensor:
        """Distances [B, k] of image vectors [B, D] to the k nearest normal images, nearest first.

        Raises:
            UsageError: nothing was learned yet.
        """
        if not self._images:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        known = self._images["images"]
        query = (images.to(known) - self._images["center"]) @ self._images["basis"]
        if self._recordable is not None:
            return RecordableIndex(known).search(query, min(k, len(known)))[0]
        return exact_search(query, known, min(k, len(known)))[0]

    def state(self) -> dict[str, Tensor]:
        places = {} if self._places is None else self._places.state()
        images = {f"image/{name}": tensor for name, tensor in self._images.items()}
        return super().state() | images | {f"place/{name}": tensor for name, tensor in places.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        super().restore(state)
        self._images = {name: state[f"image/{name}"].to(self._device) for name in ("center", "basis", "images")}
        self._places = None
        if "place/means" in state:
            self._places = PlaceMeans(state["place/means"].to(self._device), state["place/basis"].to(self._device))


class _WatchedStream(FeatureStream):
    """A stream that stores the image vectors of its features, and adds their patches to the sums of places.

    Attributes:
        images: [B, D] float32 of each batch.
    """

    def __init__(self, source: FeatureStream, who: str, places: PlaceSums | None) -> None:
        self.source, self.who, self.places = source, who, places
        self.images: list[Tensor] = []

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        self.images = []
        if self.places:
            self.places.clear()
        for features in self.source:
            self.images.append(features.need_image(self.who).float())
            if self.places:
                self.places.add(features.need_patches(self.who))
            yield features
