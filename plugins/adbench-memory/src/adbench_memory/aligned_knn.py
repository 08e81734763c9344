"""The scorer that compares a patch with normal patches around the same place only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import AlignedBank, Bank, Component, DataError, Field, Scorer, Scores, UsageError
from adbench.comparisons import PatchComparison, compare_with_vector
from adbench_memory.aligned import Aligned
from adbench_memory.grids import layer_slices, side_by_side

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features

BLOCK = 1 << 23
"""Elements of the vectors that are compared together."""


EACH = "each layer is compared by itself, and the score is the mean of their distances"


class AlignedKnn(Scorer):
    """1 - the highest cosine similarity to the normal vectors around the same place, averaged over the layers (RAD).

    RAD (arXiv 2601.22763; longkukuhi/RAD, ``rad_mvtec_visa_3dadam.py``): of the normal images, those are looked at
    whose image vectors are most like the query's; of each of them, the places at most `radius` rows and columns away.
    """

    name: ClassVar[str] = "aligned-knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = AlignedBank  # type: ignore[type-abstract]

    class Config(Component.Config):
        """Options."""

        radius: int = Field(1, ge=0, description="rows and columns that a match may lie away; 0: the same place only")
        images: int = Field(
            0, ge=0, description="normal images to compare with, those of the most similar image vectors; 0: all"
        )

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.needs = frozenset({"image"} if self.config.images else ())  # type: ignore[misc]  # it depends on the options

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """All vectors of all normal images, and the mean of the top 1 %."""
        return {"bank": {"aligned": {}}, "aggregate": {"top-fraction": {"fraction": 0.01}}}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores [B, H, W].

        Raises:
            DataError: the query has another patch grid than the bank.
            UsageError: the bank keeps no image vectors to choose by.
        """
        assert isinstance(bank, AlignedBank)
        grid, widths = self._query_grid(query, bank)
        if grid.shape[1:] != bank.vectors.shape[1:]:
            shapes = f"{list(grid.shape[1:])}, not the bank's {list(bank.vectors.shape[1:])}"
            raise DataError(f"{self.title}: the patch grid of image {query.ids[0]!r} is {shapes}; resize to one size")
        chosen = self._chosen(query, bank)
        layers = [self._scores(grid[..., one], bank.vectors[..., one], chosen) for one in layer_slices(widths)]
        return Scores(sum(layers[1:], start=layers[0]) / len(widths))

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        """The comparison with the normal patch around the same place whose layers are nearest on average."""
        import torch
        from torch.nn.functional import normalize

        assert isinstance(bank, AlignedBank)
        grid, widths = self._query_grid(query, bank)
        chosen = self._chosen(query, bank)
        images = torch.arange(len(bank.vectors)) if chosen is None else chosen[0].cpu()
        top, left = (max(0, one - self.config.radius) for one in place)
        around = bank.vectors[images, top : place[0] + self.config.radius + 1, left : place[1] + self.config.radius + 1]
        row, layers = grid[0][place], layer_slices(widths)
        cosine = torch.stack([normalize(around[..., one], dim=-1) @ normalize(row[one], dim=0) for one in layers]).mean(
            0
        )
        image, y, x = (int(one) for one in torch.unravel_index(cosine.argmax(), cosine.shape))
        nearest = bank.patch(int(images[image]), (top + y, left + x)) if isinstance(bank, Aligned) else None
        found = compare_with_vector(row, around[image, y, x], float(1 - cosine.max()), nearest, "cosine")
        if len(widths) == 1:
            return found
        return replace(found, channels=None, reasons={**found.reasons, "layers": EACH})

    def _scores(self, grid: Tensor, vectors: Tensor, chosen: Tensor | None) -> Tensor:
        """Scores [B, H, W] by one layer of the queries [B, H, W, C] and of the bank [N, H, W, C]."""
        import torch

        lengths, found = torch.linalg.vector_norm(vectors, dim=-1), []
        for number, image in enumerate(grid):
            some = None if chosen is None else chosen[number]
            found.append(1 - _highest_cosine(image, vectors, lengths, some, self.config.radius))
        return torch.stack(found)

    def _query_grid(self, query: Features, bank: AlignedBank) -> tuple[Tensor, tuple[int, ...]]:
        """The query's vectors in the form of the bank's vectors [B, H, W, C], and the channels of each layer."""
        if isinstance(bank, Aligned):
            return bank.query_grid(query), bank.widths
        grid, widths = side_by_side(query, "patches", self.title)
        return grid.to(bank.vectors.device), widths

    def _chosen(self, query: Features, bank: AlignedBank) -> Tensor | None:
        """The normal images to compare each query with, [B, K]; None for all of them."""
        from torch.nn.functional import normalize

        if not 0 < self.config.images < len(bank.vectors):
            return None
        known = bank.images if isinstance(bank, Aligned) else None
        if known is None:
            raise UsageError(f"{self.title}: {bank.title} keeps no image vectors to choose images by; set images=0")
        asked = normalize(query.need_image(self.title).to(known), dim=-1)
        return (asked @ normalize(known, dim=-1).T).topk(self.config.images, dim=1).indices


def _highest_cosine(image: Tensor, vectors: Tensor, lengths: Tensor, chosen: Tensor | None, radius: int) -> Tensor:
    """The highest cosine similarity [H, W] of each place to some images' vectors around the same place.

    The neighbourhood is laid around the query, not the bank, which is so read once and in the order it lies in memory.

    Args:
        image: [H, W, C].
        vectors: [N, H, W, C].
        lengths: [N, H, W] of the vectors.
        chosen: [K] indices of the images, or None for all.
        radius: of the neighbourhood, in places.
    """
    import torch
    from torch.nn.functional import normalize

    height, width, channels = image.shape
    around = _neighbourhoods(normalize(image, dim=-1), radius)
    best = torch.full((height * width, around.shape[1]), -torch.inf, device=image.device)
    for part in _blocks(len(vectors), height * width * channels, chosen):
        known = vectors[part].flatten(1, 2)
        # a zero vector is like nothing: its product is 0, whatever it is divided by
        own = lengths[part].flatten(1).T[:, None].clamp(min=1e-12)
        cosine = torch.bmm(around, known.permute(1, 2, 0)).div_(own)
        best = torch.maximum(best, cosine.amax(2))
    return _folded(best.view(height, width, 2 * radius + 1, 2 * radius + 1), radius)


def _blocks(images: int, each: int, chosen: Tensor | None) -> Iterator[slice | Tensor]:
    """Blocks of images that are compared together, as indices; a slice copies nothing."""
    step = max(1, BLOCK // each)
    for start in range(0, images if chosen is None else len(chosen), step):
        part = slice(start, start + step)
        yield part if chosen is None else chosen[part]


def _neighbourhoods(image: Tensor, radius: int) -> Tensor:
    """The vectors around each place of an image [H, W, C]: [H W, (2 r + 1)², C], zeros beyond its border."""
    import torch

    side = 2 * radius + 1
    padded = image
    for axis in (0, 1) if radius else ():  # of `pad` an export loses the zero
        shape = [radius if number == axis else size for number, size in enumerate(padded.shape)]
        padded = torch.cat([image.new_zeros(shape), padded, image.new_zeros(shape)], axis)
    height, width, channels = image.shape
    moved = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return torch.stack(moved, 2).reshape(-1, side * side, channels)


def _folded(cosine: Tensor, radius: int) -> Tensor:
    """The highest value [H, W] for each place of the query.

    Args:
        cosine: [H, W, side, side]: at the bank's place (y, x) the value for the query's place (y + i - r, x + j - r).
        radius: r.
    """
    import torch
    from torch.nn.functional import pad

    height, width, side, _ = cosine.shape
    padded = pad(cosine, (0, 0, 0, 0, radius, radius, radius, radius), value=-torch.inf)
    shifted = [
        padded[side - 1 - i : side - 1 - i + height, side - 1 - j : side - 1 - j + width, i, j]
        for i in range(side)
        for j in range(side)
    ]
    return torch.stack(shifted).amax(0)
