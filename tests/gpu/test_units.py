"""Whole units, from files to a record."""

from __future__ import annotations

import pytest

from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.run.runner import Runner
from adbench.registration.registry import load_registry

RECIPES = {
    "coreset": {"backbone": {"toy-pixels": {"cell": 4}}, "bank": {"coreset": {"fraction": 0.2}}, "scorer": "knn"},
    "graphs": {"backbone": {"dinov3": {"size": "tiny", "resolution": 64, "weights": "random"}}, "scorer": "knn"},
    "gaussians": {
        "preprocess": [{"resize": {"size": [64, 64]}}],
        "backbone": {"resnet18": {"weights": "random", "layers": [1, 2]}},
        "neck": [{"concat-layers": {}}],
        "bank": {"padim": {"dim": 6}},
        "scorer": {"mahalanobis": {"image_sigma": 4}},
    },
    "masked": {"backbone": {"toy-pixels": {"cell": 4}}, "masker": {"border": {"bank": "drop"}}, "scorer": "knn"},
}


def record_of(name, parts, device, out):
    registry = load_registry()
    recipe = complete(Recipe.model_validate({"recipe": name, **RECIPES[name]}), registry)
    settings = Settings(out / device, device=device, batch_size=2, figures=False, threshold=Rule("sigma"))
    outcome = Runner(registry, settings).run(Unit(recipe, Folder(root=parts), "bolt", 0, Protocol()))
    assert outcome.record.status == "ok", outcome.record.reason
    return outcome.record


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_unit_has_the_figures_of_the_cpu(name, device, parts, tmp_path):
    found, wanted = (record_of(name, parts, where, tmp_path) for where in (device, "cpu"))
    for metric, info in wanted.metrics.items():
        assert found.metrics[metric].value == pytest.approx(info.value, abs=2e-3), metric
    assert found.drew == wanted.drew
    assert (found.cost.peak_gpu_mb is None) == (device == "cpu")
