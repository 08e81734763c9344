"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_memory
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
from adbench_memory.lnamd import Lnamd
from adbench_memory.mutual import Mutual
from adbench_memory.rscin import Rscin
from adbench_memory.test_set import TestSet
from adbench_memory.two_scale import TwoScale
from adbench_memory.two_scale_knn import TwoScaleKnn

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_memory)
OURS = {
    **{f"bank/{bank.name}": bank for bank in (Full, Coreset, ImageVectors, Gallery, Aligned, TestSet, TwoScale)},
    **{f"scorer/{scorer.name}": scorer for scorer in (Knn, ImageKnn, GalleryKnn, AlignedKnn, Mutual, TwoScaleKnn)},
    "neck/lnamd": Lnamd,
    "aggregate/rscin": Rscin,
}
HERE = {
    "adbench-lite",
    "anomaly-dino",
    "dinov3-knn",
    "musc",
    "patchcore",
    "patchcore-anomalib",
    "patchcore-lite",
    "patchcore-paper",
    "rad",
    "resnet-knn",
    "spade",
    "vit-knn",
}


def test_all_are_here():
    assert {file.stem for file in FILES} == HERE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    check_recipe(file, OURS)
