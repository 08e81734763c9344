"""An embedding of test images as points on a plane: t-SNE of their backbone features, for display only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adbench.api.features import Features

PERPLEXITY = 30.0
LEAST = 5
"""Least number of images: fewer show no neighbourhoods."""
COMPONENTS = 50
"""Number of principal components before t-SNE, as in van der Maaten and Hinton."""
STEPS = 500
MOST = 5000
"""Largest number of images: more take minutes and give an unclear picture."""


def image_vectors(features: Features) -> list[np.ndarray]:
    """[C] float32 for each image of a batch: the backbone's image vector, or else the mean over its patches.

    With several layers it uses the deepest, which has the largest receptive field.
    """
    if features.image is not None:
        return list(features.image.detach().float().cpu().numpy())
    patches = features.patches if features.layers is None else [*features.layers.values()][-1]
    return [] if patches is None else list(patches.detach().float().mean(dim=(1, 2)).cpu().numpy())


def embed(vectors: Sequence[np.ndarray]) -> list[tuple[float, float]] | None:
    """A point for each image; neighbours have similar features, distances between groups mean little.

    Vectors are scaled to unit length, because backbones encode in directions. Equal vectors give equal points on one
    machine: nothing is random, and the start is the first two principal components.

    Args:
        vectors: [C] for each image, all of one length.

    Returns:
        Points to 4 significant digits; None without scikit-learn, and for fewer than 5 or more than 5000 images.

    Source:
        van der Maaten and Hinton, *Visualizing Data using t-SNE*, JMLR 9 (2008); starting point and learning rate of
        Belkina et al., Nature Communications 10 (2019).
    """
    if find_spec("sklearn") is None or not LEAST <= len(vectors) <= MOST:
        return None
    from sklearn.manifold import TSNE

    data = _principal(_unit(np.stack(vectors).astype(np.float64)))
    start = data[:, :2] / (data[:, 0].std() or 1.0) * 1e-4
    perplexity = min(PERPLEXITY, (len(data) - 1) / 3)
    settings = {"perplexity": perplexity, "init": start, "method": _method(len(data)), "max_iter": STEPS}
    points = TSNE(random_state=0, **settings).fit_transform(data)
    return [(float(f"{x:.4g}"), float(f"{y:.4g}")) for x, y in points]


def _method(count: int) -> str:
    """The method of gradients: exact for few images, which is more reproducible between machines."""
    return "exact" if count <= 150 else "barnes_hut"


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: np.ndarray = vectors / np.where(length > 0, length, 1.0)
    return result


def _principal(vectors: np.ndarray) -> np.ndarray:
    """[N, at least 2] the first principal components, each with its largest entry positive, which fixes the signs."""
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    first = left[:, :COMPONENTS] * sizes[:COMPONENTS]
    first = np.pad(first, ((0, 0), (0, max(0, 2 - first.shape[1]))))
    signs = np.sign(first[np.abs(first).argmax(axis=0), np.arange(first.shape[1])])
    result: np.ndarray = first * np.where(signs == 0, 1.0, signs)
    return result
