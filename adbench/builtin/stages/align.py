"""The preprocessor that turns the object of an image into one pose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from adbench import Field, Geometry, Preprocessor
from adbench.builtin.stages.pose import Pose, pose_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Affine = tuple[float, float, float, float, float, float]
"""A map of points: see `Geometry.warped`."""

LIMITS = (0.5, 2.0)
"""Scales beyond these are cut: a wrong outline should not blow up an image."""


class Align(Preprocessor):
    """Turns the object into one pose: in the middle, its longest axis level, the same side first, and of one size.

    The pose comes from the object's outline (Canny's edges) by principal components of the area inside it. An image
    stays as it is, without a warp in its `Geometry`, if its outline is not closed (the border cuts the object, or there
    is a texture), if it covers hardly anything or nearly all of the image, and if the object is about as wide as long
    (its angle is undefined). The record counts the test images that were turned (`turned_test`). Each image's own
    content decides its pose. Maps are turned back: pixels that the turned image does not show have the lowest score.
    """

    name = "align"
    turns = True
    not_exported = (
        "it follows edges and fills outlines in as many passes as an image needs, and an exported file has a fixed"
        " number of steps; align images before, or fit without it"
    )

    class Config(Preprocessor.Config):
        sigma: float = Field(
            2.0, gt=0, le=20, description="Gaussian before Canny's edges, in pixels; larger images are shrunk to 512"
        )
        elongation: float = Field(
            1.2,
            ge=1,
            description="least variance along the longest axis by that across; rounder objects stay as they are",
        )
        spread: float = Field(
            0.22,
            ge=0,
            le=1,
            description="standard deviation along the longest axis, by the shorter side of the image; 0 keeps the size",
        )
        mirror: bool = Field(False, description="whether objects may be mirrored, so that their heavier side is below")
        border: Literal["wrap", "edge"] = Field(
            "wrap", description="beyond the image: its other side (wrap), or its last pixels"
        )

    config: Config

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        import torch

        array = image.cpu().numpy()
        pose = pose_of(_luminance(array), self.config.sigma)
        if pose is None or pose.elongation < self.config.elongation:
            return image, geometry
        affine = self.affine(pose, (int(image.shape[1]), int(image.shape[2])))
        return torch.from_numpy(_turned(array, affine, self.config.border)), geometry.warped(affine)

    def affine(self, pose: Pose, size: tuple[int, int]) -> Affine:
        """From the turned image to the image, for a pose in an image of this height and width."""
        scale = pose.spread / (self.config.spread * min(size)) if self.config.spread else 1.0
        scale = min(max(scale, LIMITS[0]), LIMITS[1])
        sine, cosine = scale * math.sin(pose.angle), scale * math.cos(pose.angle)
        side = -1.0 if self.config.mirror and pose.mirrored else 1.0
        a, b, d, e = side * cosine, sine, -side * sine, cosine
        middle_y, middle_x = size[0] / 2, size[1] / 2
        return (a, b, pose.y - a * middle_y - b * middle_x, d, e, pose.x - d * middle_y - e * middle_x)


def _luminance(array: np.ndarray) -> np.ndarray:
    """[H, W] from 0 to 1, of an image [3, H, W]."""
    from skimage.color import rgb2gray

    found: np.ndarray = rgb2gray(array, channel_axis=0)
    return found


def _turned(array: np.ndarray, affine: Affine, border: Literal["wrap", "edge"]) -> np.ndarray:
    """The image [3, H, W] seen through a map from its pixels to those of the given one, bilinearly; its type stays."""
    import numpy as np
    from scipy.ndimage import map_coordinates

    a, b, c, d, e, f = affine
    y = (np.arange(array.shape[1]) + 0.5)[:, None]
    x = np.arange(array.shape[2]) + 0.5
    places = np.stack([a * y + b * x + c, d * y + e * x + f]) - 0.5
    mode = {"wrap": "grid-wrap", "edge": "nearest"}[border]
    wide = array.astype(np.float32)
    turned = np.stack([map_coordinates(channel, places, order=1, mode=mode) for channel in wide])
    whole: np.ndarray = turned.round().astype(array.dtype) if array.dtype == np.uint8 else turned
    return whole
