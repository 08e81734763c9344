from __future__ import annotations

import pytest

from adbench import DataError, StorageError, UsageError
from adbench.boards.records.integrity import forged
from adbench.builtin.folders.datasets import Folder
from adbench.engine.evaluate.evaluator import measure
from adbench.engine.evaluate.reproduce import compare, evaluator_of, recipe_of, unit_of
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import components_of, spec_of
from adbench.engine.plan.settings import Settings
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.run.runner import Runner


@pytest.fixture
def ran(registry, make_unit, tmp_path):
    def ran(**options):
        return Runner(registry, Settings(tmp_path / "runs", figures=False)).run(make_unit(**options))

    return ran


def with_spec(record, **slots):
    recipe = record.recipe.model_copy(update={"spec": {**record.recipe.spec, **slots}})
    return record.model_copy(update={"recipe": recipe})


@pytest.mark.slow
def test_a_record_gives_its_unit_back(ran, registry, parts, tmp_path):
    """And with it its identity: a draft's is made as the check of records makes it."""
    protocol = Protocol(shots=2, limit_test=2, evaluation=32)
    record = ran(
        protocol=protocol, seed=1, neck=["l2"], bank="toy-vectors", features="float16", tuned_on=["parts"]
    ).record
    unit = unit_of(record, Folder(root=parts), registry)
    assert (unit.category, unit.seed, unit.protocol) == ("bolt", 1, protocol)
    components = components_of(unit.recipe, registry)
    assert spec_of(unit.recipe, components) == record.recipe.spec
    again = RecordBuilder(unit, components, registry, tmp_path, "cpu")
    assert forged(record) == forged(again.failed("failed", "x")) == ""


def test_a_run_gives_its_figures_back(ran, registry, parts):
    outcome = ran()
    judge = evaluator_of(outcome.folder, outcome.record, Folder(root=parts))
    metrics = [entry.cls() for entry in registry.entries("metric")]
    assert measure(metrics, judge.evidence()) == outcome.record.metrics


def test_other_images_are_refused(ran, registry, parts):
    outcome = ran()
    next((parts / "bolt/test/good").iterdir()).unlink()
    with pytest.raises(DataError, match="not those of the run"):
        unit_of(outcome.record, Folder(root=parts), registry)
    with pytest.raises(DataError, match="not those of the run"):
        evaluator_of(outcome.folder, outcome.record, Folder(root=parts))


def test_other_versions_are_refused(ran, registry):
    record = ran().record
    old = [{**record.recipe.spec["scorer"][0], "version": 7}]
    with pytest.raises(UsageError, match="scorer 'toy-nearest' has version 1 here but version 7 in the record"):
        recipe_of(with_spec(record, scorer=old), registry)


def test_a_file_that_no_record_carries_is_named(ran, registry):
    record = ran().record
    part = record.recipe.spec["backbone"][0]
    file = {"file": "weights.pth", "sha256": "0" * 64}
    with pytest.raises(UsageError, match="is the file 'weights.pth', which a record does not contain"):
        recipe_of(with_spec(record, backbone=[{**part, "options": {"weights": file}}]), registry)


@pytest.mark.slow
@pytest.mark.parametrize(
    "slots", [{"scorer": [{}]}, {"scorer": 3}, {"map": {"sigma": "x"}}, {"backbone": []}, {"bank": ["x"]}]
)
def test_an_untrusted_spec_is_one_sentence(ran, registry, slots):
    with pytest.raises(StorageError, match="its spec is not a recipe"):
        recipe_of(with_spec(ran().record, **slots), registry)


def test_an_untrusted_name_is_no_obstacle(ran, registry):
    record = ran().record
    named = record.model_copy(update={"recipe": record.recipe.model_copy(update={"name": "<script>"})})
    assert recipe_of(named, registry).name == "recipe"


def test_figures_are_compared_by_name_version_and_value(make_record):
    def having(**figures):
        infos = {name: {"value": value, "version": version} for name, (value, version) in figures.items()}
        record = make_record()
        return type(record).model_validate({**record.to_json(), "metrics": infos})

    before = having(
        same=(0.5, 1), near=(0.5, 1), far=(0.5, 1), none=(None, 1), lost=(0.5, 1), newer=(0.5, 1), gone=(0.5, 1)
    )
    after = having(same=(0.5, 1), near=(0.5009, 1), far=(0.502, 1), none=(None, 1), lost=(None, 1), newer=(0.5, 2))
    verdicts = {row.metric: row.agrees for row in compare(before, after, 0.001)}
    assert verdicts == {
        "same": True, "near": True, "none": True, "far": False, "lost": False, "newer": False, "gone": False
    }  # fmt: skip
