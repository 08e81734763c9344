"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_anomalib
import pytest
from adbench_anomalib.bank import Anomalib
from adbench_anomalib.models.catalog import ADAPTERS
from adbench_anomalib.scorer import AnomalibScores

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_anomalib)
OURS = {"bank/anomalib": Anomalib, "scorer/anomalib": AnomalibScores}

ELSEWHERE = {"cflow", "fastflow"}
"""Recipes of adbench-flow have these names; anomalib's models of the same name are a value of the bank's option."""

WITHOUT = {"foundad", "l2bt", "patchflow", "uninet"}
"""Models without a published configuration for whole categories, or without a paper that a recipe can name."""

LITE = {"cfa-lite", "stfpm-lite", "supersimplenet-lite", "uflow-lite"}


def test_all_are_here():
    assert {file.stem for file in FILES} == (set(ADAPTERS) - ELSEWHERE - WITHOUT) | LITE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    made = check_recipe(file, OURS)
    assert made["bank"].config.model == file.stem.removesuffix("-lite")
