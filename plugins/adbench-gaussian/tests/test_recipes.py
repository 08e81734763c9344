"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_gaussian
import pytest
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.padim import Padim
from adbench_gaussian.prototypes import Prototypes
from adbench_gaussian.subspace import Subspace
from adbench_gaussian.whitened import Whitened

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_gaussian)
OURS = {
    **{f"bank/{bank.name}": bank for bank in (Padim, Prototypes, Whitened, Subspace)},
    "scorer/mahalanobis": Mahalanobis,
}


def test_all_are_here():
    assert {file.stem for file in FILES} == {
        "padim",
        "prototype-mahalanobis",
        "mh-patchcore",
        "subspace-ad",
        "subspace-lite",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    check_recipe(file, OURS)
