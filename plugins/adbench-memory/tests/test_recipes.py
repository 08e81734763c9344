"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

from pathlib import Path

import adbench_memory
import pytest
import yaml
from adbench_memory.aligned import Aligned
from adbench_memory.aligned_knn import AlignedKnn
from adbench_memory.coreset import Coreset
from adbench_memory.full import Full
from adbench_memory.gallery import Gallery
from adbench_memory.gallery_knn import GalleryKnn
from adbench_memory.image_knn import ImageKnn
from adbench_memory.images import ImageVectors
from adbench_memory.knn import Knn
from adbench_memory.mutual import Mutual
from adbench_memory.test_set import TestSet

from adbench.engine.plan.recipe import SLOTS, parts_in, read_recipe
from adbench.registry import load_registry

FILES = sorted((Path(adbench_memory.__file__).parent / "recipes").glob("*.yaml"))
OURS = {
    "bank": {part.name: part for part in (Full, Coreset, ImageVectors, Gallery, Aligned, TestSet)},
    "scorer": {part.name: part for part in (Knn, ImageKnn, GalleryKnn, AlignedKnn, Mutual)},
}
HERE = {
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
def test_a_recipe_says_what_it_is(file):
    content = yaml.safe_load(file.read_text())
    assert content["recipe"] == file.stem
    assert content["paper"].startswith("https://arxiv.org/abs/")
    assert content["title"]
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_our_parts_take_their_options(file):
    recipe = read_recipe(file)
    for slot, known in OURS.items():
        (part,) = parts_in(recipe, slot)
        known[part.name](**part.options)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stages_of_adbench_itself_take_their_options(file):
    recipe, registry = read_recipe(file), load_registry()
    for slot in ("augment", "preprocess", "neck", "masker", "aggregate"):
        for part in parts_in(recipe, slot):
            part.make(SLOTS[slot], registry)
