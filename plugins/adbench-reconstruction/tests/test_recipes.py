"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

from pathlib import Path

import adbench_reconstruction
import pytest
import yaml
from adbench_reconstruction.autoencoder import Autoencoder
from adbench_reconstruction.residual import Residual
from adbench_reconstruction.ssim_residual import SsimResidual

from adbench.engine.plan.recipe import parts_in, read_recipe

FILES = sorted((Path(adbench_reconstruction.__file__).parent / "recipes").glob("*.yaml"))
OURS = {"bank": {"autoencoder": Autoencoder}, "scorer": {"residual": Residual, "ssim-residual": SsimResidual}}


def made(name, slot):
    (part,) = parts_in(read_recipe(next(file for file in FILES if file.stem == name)), slot)
    return OURS[slot][part.name](**part.options)


def test_all_are_here():
    assert {file.stem for file in FILES} == {"ae-l2", "ae-ssim", "skip-ae-mse", "skip-ae-ssim", "vae", "feature-ae"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_says_what_it_is(file):
    content = yaml.safe_load(file.read_text())
    assert content["recipe"] == file.stem
    assert content["paper"].startswith("https://arxiv.org/abs/")
    assert content["title"]
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_our_parts_take_their_options_and_fit_together(file):
    scorer = made(file.stem, "scorer")
    made(file.stem, "bank")
    (aggregate,) = parts_in(read_recipe(file), "aggregate")
    assert (aggregate.name == "scorer") == ("image" in scorer.gives(scorer.config))


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
    ours, others = made(one, "bank").identity(), made(other, "bank").identity()
    assert {name for name in ours if ours[name] != others[name]} == switches
