"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_tune
import pytest
from adbench_tune.cutpaste import CutPaste
from adbench_tune.dino import Dino
from adbench_tune.ibot import Ibot

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_tune)
OURS = {"tuner/cutpaste": CutPaste, "tuner/dino": Dino, "tuner/ibot": Ibot}


def test_all_are_here():
    assert {file.stem for file in FILES} == {"cutpaste", "cutpaste-lite", "ssl-prototypes", "ssl-prototypes-lite"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    check_recipe(file, OURS)
