"""The gallery bank: whole normal images, searched first for similar images, then for similar patches in those alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, ClassVar

from adbench import AlignedBank, Context, ContractError, DataError, Features, FeatureStream, UsageError
from adbench.search import RecordableIndex, exact_search
from adbench_memory.collect import bytes_of, collect, patch_at, text_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.comparisons import NormalPatch


class Gallery(AlignedBank):
    """Every normal image with its patches and its image vector (SPADE, arXiv 2005.02357). 4 C bytes a patch.

    Refused before it is built where that is more than the memory that is free.
    """

    name: ClassVar[str] = "gallery"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "image"})

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}
        self._ids: tuple[str, ...] = ()
        self._recorded = False

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        watched = _Watched(features, self.title)
        learned = collect(watched, ctx.device, self.title)
        height, width = watched.grid
        vectors, self._ids = learned.vectors.reshape(-1, height, width, learned.vectors.shape[1]), learned.ids
        self._learned = {"vectors": vectors, "images": torch.cat(watched.images).float().to(ctx.device)}

    @property
    def vectors(self) -> Tensor:
        return self._known("vectors")

    @property
    def images(self) -> Tensor:
        """The image vectors, [N, D] float32."""
        return self._known("images")

    def similar(self, images: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The normal images nearest to some image vectors, by Euclidean distance.

        Args:
            images: [B, D].
            count: how many; all where there are fewer.

        Returns:
            Distances [B, count] float32 and indices [B, count] int64, nearest first.
        """
        return self._nearest(images, self.images, min(count, len(self.images)))

    def search_in(self, images: Tensor, query: Tensor, k: int) -> Tensor:
        """Distances [Q, k] of patches [Q, C] to their k nearest among the patches of the `images` [M], nearest first.

        Raises:
            UsageError: k is larger than the number of patches of an image.
        """
        import torch

        rows = self.vectors.flatten(1, 2)
        found = [self._nearest(query, rows.index_select(0, image)[0], k)[0] for image in torch.split(images, 1)]
        return torch.cat(found, 1).topk(k, largest=False).values

    def nearest_in(self, images: Tensor, row: Tensor) -> tuple[float, Tensor, NormalPatch | None]:
        """The patch nearest to one patch [C] among those of the `images` [M]: distance, vector [C], and which it is.

        The last is None in a bank whose state is of before images had names.
        """
        found = []
        for image in images.tolist():  # one after the other: together they would be copied
            distances, index = exact_search(row[None], self.vectors[image].flatten(0, 1), 1)
            found.append((float(distances), image, divmod(int(index), self.vectors.shape[2])))
        distance, image, place = min(found)
        patch = patch_at(self._ids, image, place, self.vectors.shape[1:3]) if self._ids else None
        return distance, self.vectors[image][place], patch

    def for_export(self) -> Gallery:
        """The bank with searches that are matrix products."""
        twin = copy(self)
        twin._recorded = True  # noqa: SLF001  its own
        return twin

    def _nearest(self, query: Tensor, vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Distances and indices [Q, k] of the nearest vectors [N, C] of each query [Q, C]."""
        return RecordableIndex(vectors).search(query, k) if self._recorded else exact_search(query, vectors, k)

    def state(self) -> dict[str, Tensor]:
        named = {"ids": bytes_of("\0".join(self._ids))} if self._ids else {}
        return {"vectors": self.vectors, "images": self.images, **named}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = {name: state[name].to(self._device) for name in ("vectors", "images")}
        self._ids = tuple(text_of(state["ids"]).split("\0")) if "ids" in state else ()
        if self._ids and len(self._ids) != len(self.vectors):
            raise DataError("there is not one name for each image; the state is damaged")

    def _known(self, what: str) -> Tensor:
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[what]


class _Watched(FeatureStream):
    """A stream that notes the grid and the image vectors of its features.

    Attributes:
        grid: height and width of the patch grid.
        images: [B, D] of each batch.
    """

    def __init__(self, source: FeatureStream, who: str) -> None:
        self.source, self.who = source, who
        self.grid: tuple[int, int] = (0, 0)
        self.images: list[Tensor] = []

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        for features in self.source:
            height, width = features.need_patches(self.who).shape[1:3]
            if self.images and self.grid != (height, width):
                raise ContractError(
                    "the preparation",
                    f"{self.who} needs the same grid of every image, but got {self.grid} and then {(height, width)};"
                    " resize to a fixed height and width",
                )
            self.grid = height, width
            self.images.append(features.need_image(self.who))
            yield features
