"""The recipes are complete and name their sources; parts of other packages need not be installed."""

from __future__ import annotations

from pathlib import Path

import adbench_gaussian
import pytest
import yaml
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.padim import Padim
from adbench_gaussian.prototypes import Prototypes
from adbench_gaussian.subspace import Subspace
from adbench_gaussian.whitened import Whitened

from adbench.engine.plan.recipe import parts_in, read_recipe

FILES = sorted((Path(adbench_gaussian.__file__).parent / "recipes").glob("*.yaml"))
OURS = {
    "bank": {"padim": Padim, "prototypes": Prototypes, "whitened": Whitened, "subspace": Subspace},
    "scorer": {"mahalanobis": Mahalanobis},
}
ELSEWHERE = {"residual"}
"""Parts of other packages, in slots that are otherwise ours."""


def test_all_are_here():
    assert {file.stem for file in FILES} == {
        "padim",
        "prototype-mahalanobis",
        "mh-patchcore",
        "subspace-ad",
        "subspace-lite",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_says_what_it_is(file):
    content = yaml.safe_load(file.read_text())
    assert content["recipe"] == file.stem
    assert content["paper"].startswith("https://arxiv.org/abs/")
    assert content["title"]
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_our_parts_take_their_options_and_fit_together(file):
    recipe = read_recipe(file)
    made = {}
    for slot, known in OURS.items():
        (part,) = parts_in(recipe, slot)
        if part.name not in ELSEWHERE:
            made[slot] = known[part.name](**part.options)
    if "scorer" in made:
        gives = made["scorer"].gives(made["scorer"].config)
        (aggregate,) = parts_in(recipe, "aggregate")
        assert (aggregate.name == "scorer") == ("image" in gives)
