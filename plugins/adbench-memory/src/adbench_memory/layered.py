"""The common base of `aligned` and `test-set`: all patch vectors of some images, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Component, FeatureStream, Field, UsageError
from adbench_memory.collect import Collection, collect
from adbench_memory.grids import Reads, side_by_side

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features


@dataclass(frozen=True)
class Layered:
    """The vectors of some images, layers side by side.

    Attributes:
        collection: all vectors, image after image, row after row; the channels of the layers side by side.
        widths: the channels of each layer.
        grid: height and width of the patch grid, or None where images differ in it.
        images: [N, D] float32, the image vectors, or None where the backbone gives none.
    """

    collection: Collection
    widths: tuple[int, ...]
    grid: tuple[int, int] | None
    images: Tensor | None


class LayeredMemory(Component):
    """The part of a bank that keeps all vectors of all images, and each layer by itself.

    It is no `Bank` of its own, as that would be a seventh kind: a bank inherits from it and from the kind that it is.
    """

    way_out: ClassVar[str]
    """What a user can do where the vectors do not fit into memory."""

    class Config(Component.Config):
        """Options."""

        reads: Reads = Field("patches", description="patches, or layers: each kept by itself, on the finest one's grid")

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.needs = frozenset({self.config.reads})  # type: ignore[misc]  # it depends on the options
        self._device = "cpu"
        self._learned: Layered | None = None

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        stream = _SideBySide(features, self.config.reads, self.title)
        collection = collect(stream, ctx.device, self.title, way_out=self.way_out)
        self._learned = stream.learned(collection)

    @property
    def learned(self) -> Layered:
        """The vectors from `fit` or `restore`."""
        if self._learned is None:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of each layer; they add up to those of the vectors."""
        return self.learned.widths

    def query_grid(self, query: Features) -> Tensor:
        """A query's features in the bank's form, [B, H, W, C] float32 on the bank's device.

        Raises:
            UsageError: they have other layers.
        """
        grid, widths = side_by_side(query, self.config.reads, self.title)
        if widths != self.widths:
            raise UsageError(f"{self.title} has layers of {self.widths} channels, but the query has {widths}")
        return grid.to(self.learned.collection.vectors.device)

    def state(self) -> dict[str, Tensor]:
        import torch

        learned = self.learned
        names = torch.tensor(list("\0".join(learned.collection.ids).encode()), dtype=torch.uint8)
        images = {} if learned.images is None else {"images": learned.images}
        return {
            "vectors": learned.collection.vectors,
            "owners": learned.collection.owners,
            "ids": names,
            "widths": torch.tensor(learned.widths),
            "grid": torch.tensor(learned.grid or (), dtype=torch.int64),
            **images,
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        ids = tuple(bytes(state["ids"].tolist()).decode().split("\0"))
        collection = Collection(state["vectors"].to(self._device), state["owners"].to(self._device), ids)
        grid = tuple(state["grid"].tolist()) or None
        images = state["images"].to(self._device) if "images" in state else None
        self._learned = Layered(collection, tuple(state["widths"].tolist()), grid, images)


class _SideBySide(FeatureStream):
    """A stream whose patches are another stream's layers side by side; it notes the grid and image vectors."""

    def __init__(self, source: FeatureStream, reads: Reads, who: str) -> None:
        self._source, self._reads, self._who = source, reads, who
        self._widths: tuple[int, ...] = ()
        self._grids: set[tuple[int, int]] = set()
        self._images: list[Tensor] = []

    @property
    def ids(self) -> Sequence[str]:
        return self._source.ids

    def __iter__(self) -> Iterator[Features]:
        self._grids, self._images = set(), []
        for batch in self._source:
            patches, self._widths = side_by_side(batch, self._reads, self._who)
            self._grids.add((patches.shape[1], patches.shape[2]))
            if batch.image is not None:
                self._images.append(batch.image.float())
            yield batch.having(patches=patches, layers=None)

    def learned(self, collection: Collection) -> Layered:
        """The vectors, with the notes of the stream."""
        import torch

        images = torch.cat(self._images).to(collection.vectors.device) if self._images else None
        grid = next(iter(self._grids)) if len(self._grids) == 1 else None
        return Layered(collection, self._widths, grid, images)
