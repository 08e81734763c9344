"""Small data for every component: features, images, scores and tables, the same ones every time.

Normal patches lie near a plane of three dimensions in sixteen, and vary with their place. A planted defect is two
patches wide, differently placed in each image, and pushed off that plane, in each image in another direction: it is
rare, so that methods that learn from the test images can find it, and off the normal manifold, so that those that
redraw can too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from adbench import Batch, Features, FeatureStream, Geometry, ImageScores
from adbench.maps import Smoothing, prepared_maps

HEIGHT, WIDTH, CHANNELS, CELL = 6, 9, 16, 8
"""Patch grid, channels, and pixels a patch: 48 x 72 pixels, so that no two sizes can be mixed up unnoticed."""

Item = TypeVar("Item")

NORMAL, DEFECTIVE = 8, 6
"""Test images without and with a defect; there are as many training images as both."""


class ToyStream(FeatureStream):
    """Features in memory, a batch at a time.

    Args:
        features: of all images.
        batch: images a batch.
        labels: the class of each image by id, for a stream that gives it.
    """

    def __init__(self, features: Features, batch: int = 4, labels: Mapping[str, int] | None = None) -> None:
        self.features, self.batch, self._labels = features, batch, labels or {}

    @property
    def ids(self) -> Sequence[str]:
        return self.features.ids

    @property
    def labels(self) -> Mapping[str, int]:
        return self._labels

    def __iter__(self) -> Iterator[Features]:
        for start in range(0, len(self.features), self.batch):
            yield pick(self.features, slice(start, start + self.batch))

    def first(self, images: int) -> ToyStream:
        """A stream of the first images alone; of labelled ones the first of each class."""
        if not self._labels:
            return ToyStream(pick(self.features, slice(images)), self.batch)
        classes = [self._labels[name] for name in self.ids]
        kept = [place for place, one in enumerate(classes) if classes[:place].count(one) < images]
        return ToyStream(pick(self.features, kept), self.batch, {self.ids[place]: classes[place] for place in kept})


class PatchStream(FeatureStream):
    """A stream of patches alone, of images of 32 x 48 pixels that are called ``image 0``, ``image 1`` and so on.

    Args:
        grids: [B, H, W, C], one batch each.

    Attributes:
        batches: the features of each batch.
    """

    def __init__(self, *grids: Tensor) -> None:
        self.batches: list[Features] = []
        for grid in grids:
            first = sum(map(len, self.batches))
            ids = tuple(f"image {first + index}" for index in range(len(grid)))
            self.batches.append(Features(ids, (Geometry.whole(32, 48),) * len(ids), patches=grid))

    @property
    def ids(self) -> Sequence[str]:
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self) -> Iterator[Features]:
        return iter(self.batches)


@dataclass(frozen=True)
class Toys:
    """All the data that a component is tested on.

    Attributes:
        train: features of normal images.
        test: features of the images to judge, the normal ones first.
        labelled: those of `train`, and of a few defective images in between, with labels: 0, 1 and 2.
        truth: [N, H, W] bool, the planted patches of the test images.
        batch: four prepared images.
        image: [3, 300, 400] uint8, a picture before any preparation.
        scores: patch and image scores of the test images, in which the defects stand out.
    """

    train: ToyStream
    test: ToyStream
    labelled: ToyStream
    truth: Tensor
    batch: Batch
    image: Tensor
    scores: tuple[ImageScores, ...]


def toys() -> Toys:
    """A new copy of the toys, so that no test can change those of another."""
    return deepcopy(_pristine())


@lru_cache(maxsize=1)
def _pristine() -> Toys:
    """The toys that `toys` copies."""
    generator = torch.Generator().manual_seed(20)
    basis, _ = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=generator))
    place = torch.randn(HEIGHT, WIDTH, 3, generator=generator)
    total = NORMAL + DEFECTIVE
    train, test = (_normal_patches(total, basis, place, generator) for _ in range(2))
    truth = _plant(test, basis, generator)
    return Toys(
        train=ToyStream(_features("train", train, basis)),
        test=ToyStream(_features("test", test, basis)),
        labelled=_labelled(train, basis, place),
        truth=truth,
        batch=image_batch(64, 96, 4),
        image=(image_batch(300, 400, 1).images[0] * 255).to(torch.uint8),
        scores=_scores(truth, generator),
    )


def _labelled(train: Tensor, basis: Tensor, place: Tensor) -> ToyStream:
    """The normal images, and defective ones with two types of defects; their order tells nothing."""
    generator = torch.Generator().manual_seed(21)  # an own one, so that the other toys stay as they are
    planted = _normal_patches(NORMAL + DEFECTIVE, basis, place, generator)
    _plant(planted, basis, generator)
    patches = torch.cat([train, planted[NORMAL:]])
    labels = [0] * len(train) + [1, 2] * (DEFECTIVE // 2)
    order = torch.randperm(len(patches), generator=generator)
    features = _features("labelled", patches[order], basis)
    return ToyStream(features, labels={name: labels[i] for name, i in zip(features.ids, order, strict=True)})


def pick(features: Features, which: slice | Sequence[int]) -> Features:
    """The features of some of the images; of a slice a view, so that a component that changes it fails a check."""
    tensors = {name: getattr(features, name) for name in ("patches", "image", "foreground", "images")}
    return Features(
        ids=_picked(features.ids, which),
        geometry=_picked(features.geometry, which),
        layers=None if features.layers is None else {name: layer[which] for name, layer in features.layers.items()},
        **{name: None if tensor is None else tensor[which] for name, tensor in tensors.items()},
    )


def _picked(values: tuple[Item, ...], which: slice | Sequence[int]) -> tuple[Item, ...]:
    return values[which] if isinstance(which, slice) else tuple(values[place] for place in which)


def names(of: str, count: int) -> tuple[str, ...]:
    """Ids such as the engine gives to images: hexadecimal digits without a meaning."""
    return tuple(hashlib.sha256(f"{of} {number}".encode()).hexdigest()[:16] for number in range(count))


def image_batch(height: int, width: int, images: int) -> Batch:
    """Soft coloured noise: a few waves of each colour, different in each image."""
    generator = torch.Generator().manual_seed(height * 10_000 + width)
    coarse = torch.rand(images, 3, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return Batch(ids=names("batch", images), images=fine, geometry=(Geometry.whole(height, width),) * images)


def _normal_patches(images: int, basis: Tensor, place: Tensor, generator: torch.Generator) -> Tensor:
    """[N, H, W, C]: a constant, a pattern that depends on the place, something of the image's own, and noise."""
    own = 0.5 * torch.randn(images, HEIGHT, WIDTH, 3, generator=generator)
    noise = 0.05 * torch.randn(images, HEIGHT, WIDTH, CHANNELS, generator=generator)
    return (place + own) @ basis[:, :3].T + 4 * basis[:, 3] + noise


def _plant(patches: Tensor, basis: Tensor, generator: torch.Generator) -> Tensor:
    """Plant a defect into each of the last images, in place; returns the planted patches."""
    truth = torch.zeros(patches.shape[:3], dtype=torch.bool)
    for image in range(NORMAL, len(patches)):
        row = int(torch.randint(HEIGHT, (), generator=generator))
        column = int(torch.randint(WIDTH - 1, (), generator=generator))
        away = basis[:, 4:] @ torch.nn.functional.normalize(torch.randn(CHANNELS - 4, generator=generator), dim=0)
        patches[image, row, column : column + 2] += 6 * away
        truth[image, row, column : column + 2] = True
    return truth


def _features(folder: str, patches: Tensor, basis: Tensor) -> Features:
    """All optional fields of `Features`, made from the patches: deeper layers, an image vector, and a picture."""
    channels_first = patches.permute(0, 3, 1, 2)
    deeper = torch.nn.functional.avg_pool2d(channels_first, 3, stride=2, padding=1, count_include_pad=False)
    colours = torch.sigmoid(channels_first[:, :3] / 4)
    images = colours.repeat_interleave(CELL, dim=2).repeat_interleave(CELL, dim=3)
    return Features(
        ids=names(folder, len(patches)),
        geometry=(Geometry.whole(*images.shape[-2:]),) * len(patches),
        patches=patches,
        layers={"layer1": patches.clone(), "layer2": deeper.permute(0, 2, 3, 1) @ basis},
        image=patches.mean(dim=(1, 2)),
        foreground=torch.ones(patches.shape[:3], dtype=torch.bool),
        images=images.contiguous(),
    )


def _enlarged(patches: Tensor) -> Tensor:
    """[H0, W0] float32: the map of patch scores [H, W]."""
    (enlarged,) = prepared_maps(patches[None], [(HEIGHT * CELL, WIDTH * CELL)], Smoothing())
    return enlarged.float()


def _scores(truth: Tensor, generator: torch.Generator) -> tuple[ImageScores, ...]:
    """Scores between 0 and 1 on normal patches and of 10 on planted ones."""
    patches = torch.rand(truth.shape, generator=generator) + 9.5 * truth
    vectors = torch.randn(len(truth), CHANNELS, generator=generator)
    return tuple(
        ImageScores(
            id=name,
            patches=patches[i],
            image=float(patches[i].max()),
            vector=vectors[i],
            size=(HEIGHT * CELL, WIDTH * CELL),
            to_map=_enlarged,
        )
        for i, name in enumerate(names("test", len(truth)))
    )
