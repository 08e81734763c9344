"""Orders to workers and their answers survive the way between processes."""

import json

import pytest

from adbench import StorageError
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.run import orders
from adbench.engine.run.orders import Answer, Refusal, job_order, run_order
from adbench.engine.run.record_builder import UnitOutcome

THRESHOLD = Threshold(method="sigma", source="held-out 20 %", normals=40, k=2.0, value=0.5)


@pytest.fixture(autouse=True)
def installed(registry, monkeypatch):
    """Workers find the registry of the tests."""
    monkeypatch.setattr("adbench.registration.registry.installed", lambda: registry)
    orders._runner.cache_clear()
    yield
    orders._runner.cache_clear()


def test_an_order_that_another_machine_cannot_begin_is_refused(registry, make_unit, tmp_path):
    order = json.loads(job_order([make_unit(seed=0)], Settings(tmp_path / "runs", device="cpu", figures=False)))
    order["units"][0]["dataset"]["options"]["root"] = "/nowhere"
    order["units"][0]["dataset"]["name"] = "unknown"
    answer = Answer.from_json(run_order(json.dumps(order)))
    assert answer.outcomes == []
    assert "unknown dataset 'unknown'" in answer.refusals[0].reason


def test_what_travels_arrives_as_it_was(registry, make_unit, make_record, tmp_path):
    unit = make_unit(seed=3)
    again = Unit.from_json(json.loads(json.dumps(unit.to_json())), registry)
    assert (again.recipe, again.category, again.seed, again.protocol) == (
        unit.recipe,
        unit.category,
        unit.seed,
        unit.protocol,
    )
    assert again.dataset.root == unit.dataset.root
    settings = Settings(tmp_path, retry=("failed",), cache=tmp_path / "c", timeout=3.5, threshold=Rule("sigma", k=2.0))
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    outcome = UnitOutcome(
        make_record(), tmp_path / "run", fresh=False, threshold=THRESHOLD, unsaved=StorageError("x"), notes=("n",)
    )
    answer = Answer([outcome], [Refusal("u", "r", weights=True)], ["note"])
    back = Answer.from_json(answer.to_json())
    assert (back.refusals, back.notes) == (answer.refusals, answer.notes)
    assert (back.outcomes[0].record, back.outcomes[0].threshold) == (outcome.record, THRESHOLD)
    assert (back.outcomes[0].folder, back.outcomes[0].fresh, str(back.outcomes[0].unsaved)) == (
        outcome.folder,
        False,
        "x",
    )
