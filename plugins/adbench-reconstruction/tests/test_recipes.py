"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

import adbench_reconstruction
import pytest
from adbench_reconstruction.autoencoder import Autoencoder
from adbench_reconstruction.residual import Residual
from adbench_reconstruction.ssim_residual import SsimResidual

from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_reconstruction)
OURS = {"bank/autoencoder": Autoencoder, "scorer/residual": Residual, "scorer/ssim-residual": SsimResidual}


def test_all_are_here():
    pixels = {"ae-l2", "ae-ssim", "skip-ae-mse", "skip-ae-ssim", "vae"}
    assert {file.stem for file in FILES} == pixels | {"feature-ae", "dfr"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete(file):
    check_recipe(file, OURS)


@pytest.mark.parametrize(
    ("one", "other", "switches"),
    [
        ("ae-l2", "ae-ssim", {"loss"}),
        ("skip-ae-mse", "skip-ae-ssim", {"loss"}),
        ("ae-l2", "skip-ae-mse", {"skip"}),
        ("ae-ssim", "skip-ae-ssim", {"skip"}),
        ("ae-l2", "vae", {"variational"}),
    ],
)
def test_two_rows_differ_in_one_switch(one, other, switches):
    files = {file.stem: file for file in FILES}
    ours, others = (check_recipe(files[name], OURS)["bank"].identity() for name in (one, other))
    assert {name for name in ours if ours[name] != others[name]} == switches
