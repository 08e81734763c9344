from datetime import datetime

import pytest

from adbench import Backbone, Neck, UsageError, Weights
from adbench.boards.records.integrity import forged
from adbench.engine.plan.protocol import Protocol, make_task
from adbench.engine.plan.recipe import components_of
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.store.new_run import new_run
from adbench.engine.store.record import write_record
from adbench.files import LocalFile


@pytest.fixture
def make_draft(make_unit, registry, tmp_path):
    def make(**options):
        unit = make_unit(**options)
        task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed)
        return RecordBuilder(unit, components_of(unit.recipe, registry), registry, tmp_path / "runs", "cpu", task)

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"backbone": {"toy-pixels": {"cell": 4}}},
        {"preprocess": [{"resize": {"size": [64, 64]}}]},
        {"neck": ["l2"]},
        {"masker": "toy-border"},
        {"augment": "rotate"},
        {"bank": {"toy-vectors": {"fraction": 0.25}}},
        {"scorer": {"toy-nearest": {"k": 2}}},
        {"aggregate": "mean"},
        {"aggregate": {"top-fraction": {"fraction": 0.5}}},
        {"map": {"sigma": 1.0}},
        {"map": {"morphology": "open:3"}},
        {"tuned_on": ["demo"]},
        {"category": "nut"},
        {"seed": 1},
        {"protocol": Protocol(limit_test=2)},
    ],
    ids=str,
)
def test_whatever_decides_the_score_is_in_the_id(make_draft, change):
    assert make_draft(**change).id != make_draft().id


def test_a_recipe_tuned_on_a_dataset_is_marked_there_and_nowhere_else(make_draft, parts):
    for named, marked in ((["demo", "parts"], True), (["demo"], False), ([], False)):
        record = make_draft(tuned_on=named).failed("failed", "a test")
        assert record.task.dataset == "parts"
        assert record.regime.tuned_on_test is marked
        assert ("tuned_on_test" in record.to_json()["regime"]) is marked
        assert forged(record) == ""


def test_defaults_written_out_are_the_same_method(make_draft):
    spelt = make_draft(scorer={"toy-nearest": {"k": 1}}, bank="toy-vectors", aggregate="max", map={"sigma": 4.0})
    assert spelt.id == make_draft().id


def test_a_components_version_is_in_the_id(make_draft, registry, monkeypatch):
    before = make_draft().id
    monkeypatch.setattr(registry.get("aggregator", "max").cls, "version", 99)
    assert make_draft().id != before


def test_names_and_machines_are_not_in_the_id(make_draft):
    draft, other = make_draft(), make_draft(name="another-name", title="Another")
    other.device, other.weights = "cuda", (Weights("file", "0" * 64),)
    assert other.id == draft.id


def test_an_image_or_a_mask_that_changes_changes_the_id(make_draft, parts):
    ids = [make_draft().id]
    for name in ("test/good/000.png", "ground_truth/spot/000_mask.png"):
        file = parts / "bolt" / name
        file.write_bytes(file.read_bytes() + b"\0")
        ids.append(make_draft().id)
    assert len(set(ids)) == 3


def test_a_file_that_an_option_names_counts_by_its_content(make_draft, registry, tmp_path):
    class FromFile(Backbone):
        """Reads a file."""

        name = "from-file"

        class Config(Backbone.Config):
            weights_file: LocalFile

        provides = classmethod(lambda cls, config: frozenset({"patches"}))
        extract = weights = lambda *_: None

    registry.add_component(FromFile, "made", "1")
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net").write_bytes(content)
    draft = lambda folder: make_draft(backbone={"from-file": {"weights_file": str(tmp_path / folder / "net")}})  # noqa: E731
    assert draft("a").id == draft("b").id != draft("c").id
    with pytest.raises(UsageError, match="net"):
        draft("none")


def test_an_earlier_record_is_found_however_it_ended(make_draft):
    draft = make_draft()
    assert draft.record() is None
    for status in ("failed", "ok"):
        with new_run(draft.out, draft.folder.name) as folder:
            write_record(folder, draft.failed(status, "told"))
        assert draft.record().status == status


def test_a_record_of_another_id_in_the_folder_is_not_taken(make_draft):
    draft, other = make_draft(), make_draft(seed=1)
    with new_run(draft.out, draft.folder.name) as folder:
        write_record(folder, other.done(None, {}))
    assert draft.record() is None


def test_the_folder_is_safe_and_short(make_draft, parts):
    (parts / "bolt").rename(parts / "bölt ..")
    folder = make_draft(category="bölt ..", name="n" * 100).folder
    assert folder.name.isascii()
    assert len(folder.name) < 100
    assert folder.parent.name == "runs"


def test_a_record_says_when_the_unit_began(make_draft):
    draft = make_draft()
    assert datetime.fromisoformat(draft.done(None, {}).provenance.started) == draft.started.replace(microsecond=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({}, 4, False),
        ({"scorer": "toy-residual", "bank": "toy-median"}, 0, False),
        ({"bank": "toy-test-vectors"}, 0, True),
        ({"bank": "toy-test-vectors", "neck": ["learning"]}, 4, True),
    ],
)
def test_the_regime_follows_from_what_learns_from_what(make_draft, registry, options, train, test):
    class Learning(Neck):
        """Learns."""

        name = "learning"
        learns = True

        def apply(self, features):
            return features

    registry.add_component(Learning, "made", "1")
    regime = make_draft(**options).done(None, {}).regime
    assert (regime.train_images, regime.test_set) == (train, test)


def test_random_weights_are_marked(make_draft):
    draft = make_draft()
    draft.weights = (Weights("random:3", "0" * 64),)
    record = draft.done(None, {})
    assert record.regime.random_weights
    assert record.provenance.weights[0].name == "random:3"
