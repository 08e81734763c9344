"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_flow
import pytest
from adbench_flow.cflow import CFlow
from adbench_flow.energy import Energy
from adbench_flow.fastflow import FastFlow
from adbench_flow.flow_matching import FlowMatching

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_flow)
OURS = {"scorer/energy": Energy, **{f"bank/{bank.name}": bank for bank in (FastFlow, CFlow, FlowMatching)}}


def test_all_are_here():
    methods = {"fastflow", "cflow", "flow-matching"}
    assert {file.stem for file in FILES} == methods | {f"{name}-lite" for name in methods}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    check_recipe(file, OURS)
