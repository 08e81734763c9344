"""A fitted method as one module: images in, scores and maps out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adbench.api.features import Batch, Features, ImageScores, Scores
from adbench.api.geometry import Geometry
from adbench.detector.export.ignored import IgnoredPixels
from adbench.detector.export.maps import MapMaker
from adbench.detector.export.tiles import tiled_features
from adbench.engine.features.after_backbone import seen
from adbench.engine.features.feature_batch import changed
from adbench.engine.features.tiles import tiling_of
from adbench.engine.run.method import Method, with_lowest_outside


class Frame(NamedTuple):
    """The images that an exported file takes.

    Attributes:
        height, width: of an image in pixels.
        batch: images a call.
        deep: float32 from 0 to 1 in place of uint8.
    """

    height: int
    width: int
    batch: int = 1
    deep: bool = False

    def blank(self) -> Tensor:
        """Gray images: [batch, height, width, 3]."""
        gray = torch.full((self.batch, self.height, self.width, 3), 127, dtype=torch.uint8)
        return gray.float() / 255 if self.deep else gray


class ScoringGraph(nn.Module):
    """A fitted method for images of one size, all of whose numbers are constants.

    Args:
        method: of parts that can be recorded.
        frame: the images.
        half: whether features are rounded to 16 bits.
        ignored: the pixels that nobody looks at; None for none.
    """

    def __init__(self, method: Method, frame: Frame, *, half: bool, ignored: IgnoredPixels | None = None) -> None:
        super().__init__()
        self._method, self._half, self._ignored = method, half, ignored
        self._makers: dict[tuple[int, int], tuple[MapMaker, MapMaker]] = {}
        self._ids = tuple(f"{place:016x}" for place in range(frame.batch))
        self.has_map = len(self(frame.blank())) == 2  # also makes what depends on the size, before anybody records

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Scores [N] float32 and, of a method that has them, maps [N, H, W] float32 on the images' own pixels.

        Args:
            images: [N, H, W, 3] RGB: uint8, or float32 from 0 to 1.
        """
        features = self._features(images)
        for neck in self._method.necks:
            features = neck.apply(features)
        scores = self._scores(features)
        scores_of_images = [self._image_scores(features, scores, place) for place in range(len(self._ids))]
        whole = self._method.aggregator.aggregate(scores_of_images).float()
        if scores.patches is None:
            return (whole,)
        maps = [self._map(patches.float(), features.geometry[0]) for patches in scores.patches]
        return whole, torch.stack(maps)

    def _scores(self, features: Features) -> Scores:
        """The scores of images, the lowest of each where patches are ignored or outside the object."""
        geometry, foreground = features.geometry[0], self._foreground(features)
        scores = self._method.scorer.score(features.having(foreground=foreground), self._method.bank)
        if scores.patches is None:
            return scores
        patches = scores.patches.float()
        if foreground is not None:
            return Scores(with_lowest_outside(patches, foreground), scores.image)
        if self._ignored is None:
            return Scores(patches, scores.image)
        looked_at = ~self._ignored.patches(_grid(patches), geometry).ignored
        return Scores(with_lowest_outside(patches, looked_at), scores.image)

    def _foreground(self, features: Features) -> Tensor | None:
        """[N, h, w] bool: the patches that count, of those that nobody ignores; None for all of them."""
        if features.patches is None:
            return None
        looked_at = None
        if self._ignored is not None:
            ignored = self._ignored.patches(_grid(features.patches), features.geometry[0]).ignored
            looked_at = (~ignored).expand(len(self._ids), -1, -1)
        if self._method.masker is None:
            return looked_at
        found = self._method.masker.mask(features)
        return seen(found, torch.ones_like(found) if looked_at is None else looked_at)

    def _map(self, patches: Tensor, geometry: Geometry) -> Tensor:
        """[H, W] float32 on an image's own pixels, of patch scores [h, w]."""
        made = self._maker(patches, geometry)[0](patches)
        return made if self._ignored is None else self._ignored.on_map(made)

    def _features(self, images: Tensor) -> Features:
        """The features of prepared images."""
        ready = [self._prepared(image.permute(2, 0, 1)) for image in images]
        pixels, geometry = torch.stack([image for image, _ in ready]), tuple(place for _, place in ready)
        batch, tiling = Batch(self._ids, pixels, geometry), tiling_of(self._method.preprocess)
        backbone = self._method.backbone
        features = backbone.extract(batch) if tiling is None else tiled_features(backbone, batch, tiling)
        if self._half:
            features = changed(features, lambda tensor: tensor.half().float() if tensor.is_floating_point() else tensor)
        return features.having(images=pixels if self._method.reads_images else None)

    def _prepared(self, image: Tensor) -> tuple[Tensor, Geometry]:
        """[3, H0, W0] float32 from 0 to 1 and its geometry."""
        geometry = Geometry.whole(image.shape[1], image.shape[2])
        image = image if self._ignored is None else self._ignored.blanked(image)
        for step in self._method.preprocess:
            image, geometry = step.apply(image, geometry)
        return (image.float() / 255 if image.dtype == torch.uint8 else image), geometry

    def _image_scores(self, features: Features, scores: Scores, place: int) -> ImageScores:
        """The scores of one image, as tensors."""
        patches = None if scores.patches is None else scores.patches[place].float()
        geometry = features.geometry[place]
        found = ImageScores(
            id=self._ids[place],
            patches=patches,
            image=None if scores.image is None else scores.image[place],  # type: ignore[arg-type]  # read as a tensor
            size=geometry.size,
        )
        if patches is None:
            return found
        make = self._maker(patches, geometry)[1]
        if self._ignored is None:
            return replace(found, to_map=make)
        return self._ignored.patches(_grid(patches[None]), geometry).looked_at(found, make)

    def _maker(self, patches: Tensor, geometry: Geometry) -> tuple[MapMaker, MapMaker]:
        """The makers of maps on the original image and on the prepared image, made once."""
        grid = _grid(patches[None])
        if grid not in self._makers:
            spec = self._method.map
            whole = Geometry.whole(*geometry.size)
            self._makers[grid] = MapMaker(grid, geometry, spec), MapMaker(grid, whole, spec)
        return self._makers[grid]


def _grid(patches: Tensor) -> tuple[int, int]:
    """Height and width of a grid of patches [B, h, w, ...]."""
    return int(patches.shape[1]), int(patches.shape[2])
