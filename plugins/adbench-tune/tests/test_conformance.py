"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
from adbench_tune.cutpaste import CutPaste
from adbench_tune.dino import Dino
from adbench_tune.ibot import Ibot

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

BRIEF = {"steps": 6, "head_steps": 3, "batch": 4, "crop": 32, "local_crop": 16, "prototypes": 16}

COMPONENTS = [CutPaste(steps=0), CutPaste(steps=4, batch=4), Dino(steps=0), Dino(**BRIEF), Ibot(**BRIEF)]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()
