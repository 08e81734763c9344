"""Steps that prepare an image: resize, crop and pad. Each one writes into the geometry how it is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from adbench import DataError, Field, Geometry, Preprocessor

if TYPE_CHECKING:
    from torch import Tensor

MOST_SIDE = 16384
"""Pixels of a side."""
Pixels = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Size = Pixels | tuple[Pixels, Pixels]

LEAST_SIDE = 32
"""Pixels of the shorter side that `resize-area` leaves at least."""


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _window(image: Tensor, geometry: Geometry, top: int, left: int, size: tuple[int, int]) -> tuple[Tensor, Geometry]:
    """A crop that lies inside the image."""
    height, width = size
    return image[:, top : top + height, left : left + width], geometry.windowed(top, left, height, width)


class Resize(Preprocessor):
    """Another number of pixels: the shorter side with the aspect kept, or a fixed height and width.

    Sizes are rounded as torchvision rounds them; the resampling is PyTorch's. An image of 8 bits stays one, rounded to
    whole levels, as Pillow and the official PatchCore and AnomalyDINO leave it; with ``precision: float`` it keeps
    fractions of a level, as anomalib does, which moves features by a few per cent of their length.
    """

    name = "resize"

    class Config(Preprocessor.Config):
        size: Size = Field(256, description="the shorter side (the aspect is kept), or height and width (squashed)")
        interpolation: Literal["bilinear", "bicubic", "nearest"] = Field("bilinear", description="how pixels are mixed")
        precision: Literal["image", "float"] = Field("image", description="round to the image's levels, or do not")
        antialias: bool = Field(True, description="smooth before making smaller; without effect for nearest")

    config: Config

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        from torch.nn.functional import interpolate

        size = self.target(image.shape[1], image.shape[2])
        if size == tuple(image.shape[1:]):
            return image, geometry
        if self.config.precision == "float" and not image.is_floating_point():
            image = image.float().div_(255)
        mode = self.config.interpolation
        antialias = self.config.antialias and mode != "nearest"
        resized = interpolate(image[None], size=size, mode=mode, antialias=antialias)[0]
        if mode == "bicubic" and resized.is_floating_point():
            resized = resized.clamp(0, 1)  # bicubic overshoots; uint8 is clamped by PyTorch itself
        return resized, geometry.resized(*size)

    def for_export(self) -> Any:
        from adbench.builtin.stages.recordable_resize import RecordableResize

        return RecordableResize(self)

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what becomes of an image of so many pixels.

        Raises:
            DataError: an image of a few rows or columns would be enlarged beyond what any option allows.
        """
        if not isinstance(self.config.size, int):
            return self.config.size
        short, long = sorted((height, width))
        longer = max(1, int(self.config.size * long / short))
        if longer > max(long, MOST_SIDE):
            raise DataError(
                f"{self.title}: an image of {height}x{width} pixels would become {longer} pixels long, and"
                f" {MOST_SIDE} are the most; crop it, or give resize both sides, such as size=[256,256]"
            )
        return (self.config.size, longer) if height <= width else (longer, self.config.size)


class ResizeArea(Resize):
    """As many pixels as a square of this side, with the aspect kept: an elongated image costs what a square one does.

    No side becomes shorter than 32 pixels, as deep layers of a network would have no place left: what is more elongated
    than that allows is squashed to as many pixels. With ``multiple=32`` both sides are rounded to multiples of 32, as
    the strides of a network are: then its layers lie on grids that divide each other, patches lie alike in images of
    every shape, and few shapes remain. Such an image is squashed a little. Resampling and precision are those of
    `resize`.
    """

    name = "resize-area"
    came_later = frozenset({"multiple"})

    class Config(Resize.Config):
        size: int = Field(256, ge=LEAST_SIDE, le=16384, description="side of the square that has as many pixels")
        multiple: int = Field(1, ge=1, le=64, description="height and width are rounded to multiples of it")

    config: Config

    def target(self, height: int, width: int) -> tuple[int, int]:
        area = self.config.size**2
        rows = self._side(min(max((area * height / width) ** 0.5, LEAST_SIDE), area / LEAST_SIDE))
        return rows, self._side(area / rows)

    def _side(self, pixels: float) -> int:
        multiple = self.config.multiple
        return max(-(-LEAST_SIDE // multiple), round(pixels / multiple)) * multiple


class CenterCrop(Preprocessor):
    """The middle of the image. What is cut away gets the lowest score later; it is never left out of a metric."""

    name = "center-crop"
    plain = True

    class Config(Preprocessor.Config):
        size: Size = Field(224, description="height and width; one number for both")

    config: Config

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        (height, width), (crop_height, crop_width) = image.shape[1:], _pair(self.config.size)
        if crop_height > height or crop_width > width:
            raise DataError(
                f"{self.title}: an image of {height}x{width} pixels is smaller than the crop of"
                f" {crop_height}x{crop_width}; put 'resize' before it or make the crop smaller"
            )
        top, left = round((height - crop_height) / 2), round((width - crop_width) / 2)  # torchvision's rounding
        return _window(image, geometry, top, left, (crop_height, crop_width))


class CropToMultiple(Preprocessor):
    """Cuts rows at the bottom and columns at the right, so that patches fit, as AnomalyDINO does it."""

    name = "crop-to-multiple"
    plain = True

    class Config(Preprocessor.Config):
        of: Pixels = Field(14, description="height and width become multiples of it, such as the patch size")

    config: Config

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        of = self.config.of
        height, width = image.shape[1] // of * of, image.shape[2] // of * of
        if not (height and width):
            raise DataError(
                f"{self.title}: an image of {image.shape[1]}x{image.shape[2]} pixels is smaller than {of};"
                " put 'resize' before it"
            )
        return _window(image, geometry, 0, 0, (height, width))


class Pad(Preprocessor):
    """A border of one gray around the image: up to a smallest size, then up to a multiple. Nothing is cut away."""

    name = "pad"
    plain = True

    class Config(Preprocessor.Config):
        size: Size = Field(1, description="smallest height and width; one number for both")
        multiple: Pixels = Field(1, description="height and width become multiples of it")
        fill: float = Field(0.0, ge=0, le=1, description="the border's gray, from 0 (black) to 1 (white)")
        place: Literal["center", "corner"] = Field(
            "center", description="where the image lies: in the middle (an odd pixel goes right or below), or top left"
        )

    config: Config

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        from torch.nn.functional import pad

        multiple, size = self.config.multiple, _pair(self.config.size)
        height, width = (
            -(-max(have, least) // multiple) * multiple for have, least in zip(image.shape[1:], size, strict=True)
        )
        down, across = height - image.shape[1], width - image.shape[2]
        top, left = (down // 2, across // 2) if self.config.place == "center" else (0, 0)
        fill = self.config.fill if image.is_floating_point() else round(self.config.fill * 255)
        padded = pad(image, (left, across - left, top, down - top), value=fill)
        return padded, geometry.windowed(-top, -left, height, width)
