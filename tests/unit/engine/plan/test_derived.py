from __future__ import annotations

import pytest

from adbench.engine.plan.derived import Declarations, differences, duplicates
from adbench.engine.store.record import ResultRecord
from adbench.registration.registry import installed


def part(name, **options):
    return [{"name": name, "options": options, "version": 1}]


def with_spec(record: ResultRecord, **slots) -> ResultRecord:
    spec = {"backbone": part("toy-pixels"), "bank": part("toy-vectors"), "scorer": part("toy-nearest"), **slots}
    return record.model_copy(update={"recipe": record.recipe.model_copy(update={"spec": spec})})


def with_regime(record, **regime):
    return record.model_copy(update={"regime": record.regime.model_copy(update=regime)})


def against(record):
    return Declarations(installed()).contradiction(record)


def test_a_regime_that_follows_is_believed(make_record):
    assert against(with_spec(make_record())) == ""


@pytest.mark.parametrize(
    ("regime", "message"),
    [
        ({"train_images": 0}, "train_images is 0, but its components give 5"),
        ({"test_set": True}, "test_set is True"),
        ({"class_names": True}, "class_names is True"),
    ],
)
def test_one_that_does_not_is_named(make_record, regime, message):
    assert message in against(with_regime(with_spec(make_record()), **regime))


def test_components_that_are_not_installed_are_not_asked(make_record):
    record = with_spec(make_record(), bank=part("a-stranger-s"))
    assert against(with_regime(record, train_images=0, test_set=True)) == ""


def test_options_that_are_none_leave_the_class_to_answer(make_record):
    record = with_spec(make_record(), bank=part("toy-vectors", no_such_option=1))
    assert against(record) == ""
    assert "train_images is 0" in against(with_regime(record, train_images=0))
    filed = with_spec(make_record(), bank=part("toy-vectors", weights={"file": "x", "sha256": "0"}))
    assert "train_images is 0" in against(with_regime(filed, train_images=0))


@pytest.mark.parametrize(
    "slots", [{"bank": []}, {"bank": [1]}, {"scorer": [{}]}, {"neck": 3}, {"bank": [*part("toy-vectors"), "x"]}]
)
def test_a_spec_that_is_no_recipe_is_reported(make_record, slots):
    assert "not a recipe" in against(with_spec(make_record(), **slots))


def test_an_option_that_names_the_category_is_reported(make_record):
    record = with_spec(make_record(), scorer=part("toy-nearest", power={"bottle": 2}))
    assert "tuned_per_category" in against(record)
    assert "tuned_per_category" not in against(with_regime(record, tuned_per_category=True))


def test_duplicates_are_looked_for_where_the_data_is(parts, make_record):
    from adbench.builtin.folders.datasets import Folder
    from adbench.engine.plan.protocol import Protocol, make_task

    dataset = Folder(root=str(parts))
    first = next((parts / "bolt/train/good").iterdir())
    (parts / "bolt/test/good/copy.png").write_bytes(first.read_bytes())
    task = make_task(dataset, "bolt", Protocol(), 0)
    record = make_record(category="bolt")
    assert duplicates(record, dataset) is None
    same = record.model_copy(update={"task": record.task.model_copy(update={"samples_sha": task.sha})})
    assert duplicates(same, dataset) == task.duplicates != ()
    assert duplicates(make_record(category="nothing"), dataset) is None


def test_the_same_unit_has_no_differences(make_record):
    assert list(differences(make_record(), make_record(started="2027", device="gpu", auroc=0.1))) == []


@pytest.mark.parametrize(
    ("part_of", "change", "what"),
    [
        ("task", {"train": 4}, "task.train"),
        ("task", {"test": 4}, "task.test"),
        ("task", {"samples_sha": "0"}, "task.samples_sha"),
        ("task", {"skipped": ["x"]}, "task.skipped"),
        ("task", {"duplicates": ["x"]}, "task.duplicates"),
        ("regime", {"test_set": True}, "regime.test_set"),
        ("regime", {"random_weights": True}, "regime.random_weights"),
        ("regime", {"anomalies": True}, "regime.anomalies"),
    ],
)
def test_every_difference_is_named(make_record, part_of, change, what):
    record = make_record()
    edited = record.model_copy(update={part_of: getattr(record, part_of).model_copy(update=change)})
    assert [difference.what for difference in differences(edited, record)] == [what]


def test_facts_may_differ_by_what_machines_do(make_record):
    record = make_record()
    message, found, other = (record.model_copy(update={"facts": {"recall": value}}) for value in (0.95, 0.9501, 0.9))
    assert list(differences(message, found)) == []
    assert [difference.what for difference in differences(message, other)] == ["facts.recall"]
    assert [difference.what for difference in differences(message, record)] == ["facts.recall"]
    assert list(differences(record, message)) == []
