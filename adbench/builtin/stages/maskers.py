"""Maskers: they find the object, so that the background cannot be called anomalous."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adbench import ContractError, Features, Field, Masker

if TYPE_CHECKING:
    from torch import Tensor

CENTRE_BORDER = 0.2  # share of the grid's height and width that the centre crop leaves out on each side
CENTRE_SHARE = 0.35  # the positive end is the object where it fills more of the centre crop than this
KERNEL = 3  # side of the square, in patches, that dilates and closes a mask


class PcaForeground(Masker):
    """The side of the first principal component that fills the middle (AnomalyDINO, https://arxiv.org/abs/2405.14529).

    A principal component analysis of one image's patches, as the backbone gives them: the object is where the first
    component is above the threshold or, where that is no more than 35 % of the centre crop (20 % cut off on each
    side), where it is below minus the threshold. The mask is then dilated and closed with a 3 x 3 square, in one of two
    ways. ``grid`` works on the patch grid, as anomalib does. ``raster`` is the authors' own code, which hands OpenCV
    all rows of patches as one column: a patch's neighbours are those before and after it in reading order, those at
    the end of a row and the start of the next included, those above and below not.

    The threshold is a length in the space of the features. 10 is meant for DINOv2's after its final norm and finds
    nothing in vectors of unit length, so that every image is seen whole. The authors' code masks test images only;
    whether a bank leaves out what lies outside the object is the bank's choice.
    """

    name = "pca-foreground"
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(Masker.Config):
        threshold: float = Field(10.0, ge=0, description="how far from the mean, along the component, the object is")
        morphology: Literal["grid", "raster"] = Field(
            "grid", description="neighbours on the patch grid, or in reading order as in the authors' code"
        )

    config: Config

    def __init__(self, /, **options: Any) -> None:
        super().__init__(**options)
        self._axis: Callable[[Tensor], Tensor] = _last_eigenvector

    def mask(self, features: Features) -> Tensor:
        import torch

        patches = features.need_patches(self.title)
        sides = torch.stack([self._central_side(_first_component(image, self._axis)) for image in patches])
        return self._cleaned(sides)

    def for_export(self) -> PcaForeground:
        from adbench.builtin.stages.recordable_maskers import dominant_axis

        twin = copy(self)
        twin._axis = dominant_axis  # noqa: SLF001  its own
        return twin

    def _central_side(self, component: Tensor) -> Tensor:
        """[H, W] bool: the component's positive end if that fills the centre, else its negative end."""
        positive = component > self.config.threshold
        top, left = (int(side * CENTRE_BORDER) for side in component.shape)
        bottom, right = (int(side * (1 - CENTRE_BORDER)) for side in component.shape)
        centre = positive[top:bottom, left:right]
        fills = centre.sum() > centre.numel() * CENTRE_SHARE
        return (fills & positive) | (~fills & (-component > self.config.threshold))

    def _cleaned(self, mask: Tensor) -> Tensor:
        """The masks [B, H, W] enlarged by a patch, then closed: small holes and gaps are filled."""
        plane = mask.shape[1:] if self.config.morphology == "grid" else (mask[0].numel(), 1)
        return _eroded(_dilated(_dilated(mask.reshape(-1, *plane)))).reshape(mask.shape)


def _first_component(patches: Tensor, axis_of: Callable[[Tensor], Tensor]) -> Tensor:
    """[H, W] float32: how far each patch [H, W, C] lies from the mean along the axis of the greatest variance.

    That axis points where its loading of the largest magnitude is positive, as scikit-learn turns it since 1.5.

    Args:
        patches: of one image.
        axis_of: the axis of the greatest variance, of symmetric products.
    """
    from torch.nn.functional import normalize

    rows = patches.flatten(0, 1).float()
    rows = rows - rows.mean(0)
    wide = rows.shape[1] > rows.shape[0]  # the smaller of the two products has the same axis
    vector = axis_of(rows @ rows.T if wide else rows.T @ rows)
    axis = normalize(rows.T @ vector if wide else vector, dim=0)
    axis = axis * axis.gather(0, axis.abs().argmax(0, keepdim=True)).sign()
    return (rows @ axis).reshape(patches.shape[:2])


def _last_eigenvector(products: Tensor) -> Tensor:
    """The axis [N] of the greatest variance, of symmetric products [N, N]."""
    import torch

    found: Tensor = torch.linalg.eigh(products).eigenvectors[:, -1]
    return found


def _dilated(mask: Tensor) -> Tensor:
    """The masks [B, H, W] with all neighbours of what they hold; nothing lies beyond the border."""
    from torch.nn.functional import max_pool2d

    return max_pool2d(mask[:, None].float(), KERNEL, stride=1, padding=KERNEL // 2)[:, 0] > 0


def _eroded(mask: Tensor) -> Tensor:
    """The masks [B, H, W] without the neighbours of what they do not hold; the border takes nothing away."""
    return ~_dilated(~mask)


class Otsu(Masker):
    """The bright or the dark pixels, by Otsu's threshold (1979, https://doi.org/10.1109/TSMC.1979.4310076).

    The threshold splits the prepared image's luminance, rounded to 256 levels (scikit-image's ``threshold_otsu`` and
    ``rgb2gray``); the side that holds fewer of the border's pixels is the object, the bright one where both hold half.
    It suits an object on a plain ground; an image of a single colour is seen whole.
    """

    name = "otsu"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "images"})

    class Config(Masker.Config):
        share: float = Field(0.5, gt=0, le=1, description="share of a patch's pixels from which on it is the object's")

    config: Config

    def mask(self, features: Features) -> Tensor:
        import torch
        from torch.nn.functional import adaptive_avg_pool2d

        patches = features.need_patches(self.title)
        if features.images is None:
            raise ContractError(self.title, "it reads the prepared images, but was given none")
        pixels = torch.stack([_inner_side(image) for image in features.images])
        shares = adaptive_avg_pool2d(pixels.float(), (patches.shape[1], patches.shape[2]))
        return (shares >= self.config.share).to(patches.device)

    def for_export(self) -> Any:
        from adbench.builtin.stages.recordable_maskers import RecordableOtsu

        return RecordableOtsu(self.config.share, self.title)


def _inner_side(image: Tensor) -> Tensor:
    """[H0, W0] bool on the CPU: which pixels of an image [3, H0, W0] lie on Otsu's side away from the border."""
    import torch
    from skimage.color import rgb2gray
    from skimage.filters import threshold_otsu

    luminance = (rgb2gray(image.float().cpu().numpy(), channel_axis=0) * 255).round().astype("uint8")
    bright = torch.from_numpy(luminance > threshold_otsu(luminance))  # type: ignore[no-untyped-call]
    border = torch.cat([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    return ~bright if border.float().mean() > 0.5 else bright


class Border(Masker):
    """All but the patches next to the image's border, where padding and cropping leave their traces."""

    name = "border"
    plain = True
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(Masker.Config):
        width: int = Field(1, ge=1, description="rows and columns of patches that are left out on each side")

    config: Config

    def mask(self, features: Features) -> Tensor:
        import torch

        patches, width = features.need_patches(self.title), self.config.width
        places = [torch.arange(cells, device=patches.device) for cells in patches.shape[1:3]]
        rows, columns = ((place >= width) & (place < len(place) - width) for place in places)
        return (rows[:, None] & columns).expand(len(patches), -1, -1)
