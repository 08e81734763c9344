"""Memory banks of patch and image vectors, and scores by the distance to the nearest of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_memory.aligned import Aligned
    from adbench_memory.aligned_knn import AlignedKnn
    from adbench_memory.coreset import Coreset
    from adbench_memory.full import Full
    from adbench_memory.gallery import Gallery
    from adbench_memory.gallery_knn import GalleryKnn
    from adbench_memory.image_knn import ImageKnn
    from adbench_memory.images import ImageVectors
    from adbench_memory.knn import Knn
    from adbench_memory.layer_coresets import LayerCoresets
    from adbench_memory.layer_knn import LayerKnn
    from adbench_memory.lnamd import Lnamd
    from adbench_memory.mutual import Mutual
    from adbench_memory.rscin import Rscin
    from adbench_memory.test_set import TestSet
    from adbench_memory.two_scale import TwoScale
    from adbench_memory.two_scale_knn import TwoScaleKnn

    banks: tuple[type[Component], ...] = (Full, Coreset, ImageVectors, Gallery, Aligned, TestSet, TwoScale)
    scorers: tuple[type[Component], ...] = (Knn, ImageKnn, GalleryKnn, AlignedKnn, Mutual, TwoScaleKnn, LayerKnn)
    others: tuple[type[Component], ...] = (LayerCoresets, Lnamd, Rscin)
    for component in (*banks, *scorers, *others):
        register(component)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
