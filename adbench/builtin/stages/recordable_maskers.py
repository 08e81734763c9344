"""Maskers of tensor operations alone, whose steps do not depend on the image: for exported files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench import ContractError, Features, Masker

if TYPE_CHECKING:
    from torch import Tensor

SQUARINGS = 16
"""How often products are squared: an axis of a thousandth less variance than the first then counts e^-65 of it."""

LUMINANCE = (0.2125, 0.7154, 0.0721)
"""The weights of red, green and blue in scikit-image's `rgb2gray`."""

LEVELS = 256

LEAST = 1e-30
"""The least trace that products are divided by, so that those of equal patches stay 0."""


def dominant_axis(products: Tensor) -> Tensor:
    """The axis [N] of the greatest variance, of symmetric products [N, N], by squaring them again and again."""
    import torch
    from torch.nn.functional import normalize

    power, unit = products.double(), torch.eye(len(products), dtype=torch.float64)
    for _ in range(SQUARINGS):
        power = power / (power * unit).sum().clamp(min=LEAST)
        power = power @ power
    lengths = power.square().sum(0, keepdim=True)
    longest = lengths.argmax(1, keepdim=True).expand(len(products), 1)
    return normalize(power.gather(1, longest), dim=0).float().flatten()


class RecordableOtsu(Masker):
    """Otsu's masker that counts levels by comparison, and shares of patches by matrix products.

    Args:
        share: of a patch's pixels from which on it is the object's.
        who: the masker, for messages.
    """

    name = "recordable-otsu"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "images"})

    def __init__(self, share: float, who: str) -> None:
        super().__init__()
        self._share, self._who = share, who
        self._kept: dict[tuple[int, int], Tensor] = {}

    def mask(self, features: Features) -> Tensor:
        import torch

        patches = features.need_patches(self._who)
        if features.images is None:
            raise ContractError(self._who, "it reads the prepared images, but was given none")
        grid = int(patches.shape[1]), int(patches.shape[2])
        return torch.stack([self._shares(_inner_side(image).float(), grid) >= self._share for image in features.images])

    def _shares(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """[h, w]: the share of each patch's pixels that are 1, of pixels [H0, W0]: adaptive average pooling."""
        down, across = (self._cells(int(size), cells) for size, cells in zip(pixels.shape, grid, strict=True))
        return (down @ pixels @ across.T) / (down.sum(1)[:, None] * across.sum(1))

    def _cells(self, size: int, cells: int) -> Tensor:
        """[cells, size] float32: 1 where a pixel lies in a patch, along one axis; kept."""
        import torch

        if (size, cells) not in self._kept:
            first, place = torch.arange(cells)[:, None], torch.arange(size)
            inside = (place >= first * size // cells) & (place < -(-(first + 1) * size // cells))
            self._kept[size, cells] = inside.float()
        return self._kept[size, cells]


def _inner_side(image: Tensor) -> Tensor:
    """[H0, W0] bool: which pixels of an image [3, H0, W0] lie on Otsu's side away from the border."""
    import torch

    red, green, blue = (channel * weight for channel, weight in zip(image.float(), LUMINANCE, strict=True))
    luminance = ((red + green + blue) * 255).round()
    bright: Tensor = luminance > _threshold(luminance)
    border = torch.cat([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    return bright.logical_xor(border.float().mean() > 0.5)


def _threshold(luminance: Tensor) -> Tensor:
    """Otsu's threshold [1] of levels [H, W], as scikit-image computes it."""
    import torch

    levels = torch.arange(LEVELS, dtype=torch.float32)
    up_to = (luminance.flatten() <= levels[:, None]).float().sum(1).double()
    counts = torch.cat([up_to[:1], up_to[1:] - up_to[:-1]])
    sums = (torch.ones(LEVELS, LEVELS, dtype=torch.float64).tril() @ (counts * levels)[:, None])[:, 0]
    below, above = up_to[:-1], up_to[-1] - up_to[:-1]
    apart = sums[:-1] / below.clamp(min=1) - (sums[-1] - sums[:-1]) / above.clamp(min=1)
    return levels.gather(0, (below * above * apart.square()).argmax(0, keepdim=True))
