"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

from pathlib import Path

import adbench_sam
import pytest
import yaml
from adbench_sam.sam import Sam

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_sam)


def test_all_are_here():
    assert {file.stem for file in FILES} == {"dinov3-knn-sam", "patchcore-sam"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    assert check_recipe(file, {"masker/sam": Sam}).keys() == {"masker"}


@pytest.mark.proves("dinov3-knn-sam", "patchcore-sam")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_all_but_the_mask_is_the_recipe_of_adbench_memory(file):
    memory = pytest.importorskip("adbench_memory", reason="adbench-memory has the recipe without the mask")
    without = yaml.safe_load((Path(memory.__file__).parent / "recipes" / file.name.replace("-sam", "")).read_text())
    content = yaml.safe_load(file.read_text())
    own = {"recipe", "title", "paper", "masker"}
    assert {key: content[key] for key in content.keys() - own} == {key: without[key] for key in without.keys() - own}
