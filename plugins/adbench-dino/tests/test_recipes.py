"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_dino
import pytest
from adbench_dino.dinov2 import DinoV2
from adbench_dino.dinov3 import DinoV3

from adbench.engine.plan.recipe import read_recipe
from adbench.testing import check_recipe, recipe_files

FILES = {file.stem: file for file in recipe_files(adbench_dino)}


def test_all_are_here():
    assert set(FILES) == {"dinopatch", "dinopatch-unaligned", "dinopatch-lite", "super-add", "super-add-lite"}


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_is_complete(name):
    check_recipe(FILES[name], {"backbone/dinov3": DinoV3, "backbone/dinov2": DinoV2})


def test_the_ablation_leaves_out_the_alignment_alone():
    one, other = (read_recipe(FILES[name]) for name in ("dinopatch", "dinopatch-unaligned"))
    about = {"name", "title", "differs"}
    assert one.model_dump(exclude={*about, "preprocess"}) == other.model_dump(exclude={*about, "preprocess"})
    assert [part.name for part in one.preprocess] == ["align", "resize"]
    assert one.preprocess[1:] == other.preprocess
