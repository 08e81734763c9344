"""Test images as points on a plane: t-SNE of what the backbone sees in each of them. For the eye only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adbench.api.features import Features

PERPLEXITY = 30.0
LEAST = 5
"""Fewer images than this show no neighbourhoods."""
COMPONENTS = 50
"""Vectors are brought down to so many principal components first, as van der Maaten and Hinton do."""
STEPS = 500
MOST = 5000
"""More images than this take minutes and show a blot."""


def image_vectors(features: Features) -> list[np.ndarray]:
    """[C] float32 for each image of a batch: what the backbone says of the whole, or else the mean over its patches.

    Of several layers the deepest counts, which sees most of the image.
    """
    if features.image is not None:
        return list(features.image.detach().float().cpu().numpy())
    patches = features.patches if features.layers is None else [*features.layers.values()][-1]
    return [] if patches is None else list(patches.detach().float().mean(dim=(1, 2)).cpu().numpy())


def embed(vectors: Sequence[np.ndarray]) -> list[tuple[float, float]] | None:
    """A point for each image; neighbours look alike to the backbone, distances between groups mean little.

    Vectors are brought to unit length, since backbones speak in directions. The same vectors give the same points on
    one machine: nothing is random, the start is the first two principal components.

    Args:
        vectors: [C] for each image, all of one length.

    Returns:
        Points to 4 significant digits; None where scikit-learn is not installed, and for fewer than 5 or more than 5000
        images.

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
    """Exact gradients as long as they are quick: they are the same on every machine sooner than approximate ones."""
    return "exact" if count <= 150 else "barnes_hut"


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: np.ndarray = vectors / np.where(length > 0, length, 1.0)
    return result


def _principal(vectors: np.ndarray) -> np.ndarray:
    """[N, at least 2] the first principal components, each with its largest entry positive, so that nothing flips."""
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    kept = left[:, :COMPONENTS] * sizes[:COMPONENTS]
    kept = np.pad(kept, ((0, 0), (0, max(0, 2 - kept.shape[1]))))
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    result: np.ndarray = kept * np.where(signs == 0, 1.0, signs)
    return result
