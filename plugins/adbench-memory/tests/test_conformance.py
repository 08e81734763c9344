"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
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

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

COMPONENTS = [
    Full(),
    Full(index="hnsw", M=8, ef=32),
    Coreset(fraction=0.5),
    Coreset(fraction=0.5, index="hnsw"),
    Coreset(count=20, projection="gaussian", dim=4),
    Coreset(fraction=0.5, start="mean-of-ten", projection="linear", dim=4),
    Knn(),
    Knn(k=3, metric="cosine"),
    Knn(k=3, squared=True),
    Knn(reweight=3),
    Knn(reweight=9, reweight_form="anomalib"),
    Aligned(),
    AlignedKnn(),
    AlignedKnn(radius=0, images=5),
    TestSet(),
    Mutual(),
    Mutual(share=1),
    Lnamd(),
    Lnamd(sizes=[3]),
    Rscin(),
    Rscin(neighbours=[1, 8, 9]),
    Rscin(similarity="dot"),
    ImageVectors(),
    ImageKnn(),
    ImageKnn(k=3, metric="cosine"),
    Gallery(),
    GalleryKnn(),
    GalleryKnn(images=3, k=2, squared=True),
    TwoScale(fraction=0.5),
    TwoScale(fraction=0.5, places=5),
    LayerCoresets(),
    LayerCoresets(count=40),
    LayerKnn(),
    TwoScaleKnn(),
    TwoScaleKnn(k=2, squared=True, fraction=0, weight=0.2),
    TwoScaleKnn(fraction=0, weight=0.7, place_weight=0.3),
]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()
