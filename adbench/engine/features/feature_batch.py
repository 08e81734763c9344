"""Features of a batch of images with their cost, and what is done to all tensors of features alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.features import Batch, Features
from adbench.api.networks.threads import one_thread
from adbench.engine.features.contract import check_features, check_rounded, naming_component


class FeatureBatch(NamedTuple):
    """Features of some images, and what they cost.

    Components get the features alone: from the cost, a component could tell which images were cached.

    Attributes:
        features: of the images.
        seconds: from file to features: measured now, or when the features were computed.
        cached: how many of the images came from the cache.
        runtimes: what computed the features.
    """

    features: Features
    seconds: float
    cached: int
    runtimes: frozenset[str]


@dataclass
class FeatureCost:
    """The cost of all batches so far.

    Attributes:
        seconds: from file to features, however often the images are walked over.
        waited: seconds that the walks took here and now.
        cached: images from the cache, over all walks.
        runtimes: what computed the features.
    """

    seconds: float = 0.0
    waited: float = 0.0
    cached: int = 0
    runtimes: set[str] = field(default_factory=set)

    def add(self, batch: FeatureBatch, *, walked_before: bool = False) -> None:
        """Add a batch; images that were walked over before cost nothing again."""
        self.seconds += 0.0 if walked_before else batch.seconds
        self.cached += batch.cached
        self.runtimes |= batch.runtimes


def extract(backbone: Backbone, batch: Batch) -> Features:
    """Call the backbone without gradients, and check its features."""
    with naming_component(backbone, "extract"), torch.no_grad():
        features = backbone.extract(batch)
        with one_thread():
            return check_features(backbone, batch, features)


def rounded(backbone: Backbone, features: Features) -> Features:
    """Round features to 16 bits.

    Raises:
        ContractError: one is too large for 16 bits.
    """
    halves = changed(features, lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)
    check_rounded(backbone, features, halves)
    return halves


def as_given(features: Features, images: Tensor | None, *, half: bool) -> Features:
    """Features as banks and scorers get them: of 32 bits.

    Args:
        features: of some images.
        images: [B, 3, H, W], the prepared images, where a part reads them; else None.
        half: whether the features were rounded to 16 bits.
    """
    if half:
        features = changed(features, lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)
    return features if features.images is images else features.having(images=images)


def changed(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """Change every tensor but the images."""
    fields = {name: getattr(features, name) for name in ("patches", "image", "foreground")}
    new = {name: change(value) for name, value in fields.items() if value is not None}
    layers = None if features.layers is None else {name: change(value) for name, value in features.layers.items()}
    return features.having(layers=layers, **new)


def one_image(features: Features, index: int) -> Features:
    """The features of one image of a batch."""
    one = changed(features, lambda tensor: tensor[index : index + 1])
    return one.having(ids=(features.ids[index],), geometry=(features.geometry[index],), images=None)


def joined(ids: Sequence[str], parts: Sequence[Features]) -> Features:
    """Join features of one image each into one batch, under these ids."""
    fields = {name: [getattr(part, name) for part in parts] for name in ("patches", "image", "foreground")}
    tensors = {name: torch.cat(values) for name, values in fields.items() if values[0] is not None}
    first = parts[0].layers
    layers = (
        None if first is None else {name: torch.cat([(part.layers or {})[name] for part in parts]) for name in first}
    )
    return Features(tuple(ids), tuple(part.geometry[0] for part in parts), layers=layers).having(**tensors)


def shape_of(features: Features) -> object:
    """The shapes that features of one batch share."""
    layers = ((name, tensor.shape) for name, tensor in (features.layers or {}).items())
    return None if features.patches is None else features.patches.shape, *layers
