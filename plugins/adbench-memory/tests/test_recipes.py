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
from adbench_memory.knn import Knn
from adbench_memory.lnamd import Lnamd
from adbench_memory.mutual import Mutual
from adbench_memory.rscin import Rscin
from adbench_memory.test_set import TestSet

from adbench.engine.spec import parts_in, read_recipe

FILES = sorted((Path(adbench_memory.__file__).parent / "recipes").glob("*.yaml"))
OURS = {
    "bank": {"full": Full, "coreset": Coreset, "aligned": Aligned, "test-set": TestSet},
    "scorer": {"knn": Knn, "aligned-knn": AlignedKnn, "mutual": Mutual},
}
TRANSDUCTIVE = {"neck": Lnamd, "aggregate": Rscin}


def test_all_are_here():
    assert {file.stem for file in FILES} >= {"anomaly-dino", "dinov3-knn", "patchcore", "patchcore-lite"}
    assert {file.stem for file in FILES} >= {"rad", "musc"}


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


@pytest.mark.parametrize("slot", TRANSDUCTIVE)
def test_muscs_other_parts_take_their_options(slot):
    (part,) = parts_in(read_recipe(next(file for file in FILES if file.stem == "musc")), slot)
    assert part.name == TRANSDUCTIVE[slot].name
    TRANSDUCTIVE[slot](**part.options)
