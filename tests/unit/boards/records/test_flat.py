"""A flat record has every figure and every option of the record, and nothing that could not be computed."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from adbench.boards.records.flat import _flat
from adbench.records import flat_record

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def leaves(value):
    return [value] if not isinstance(value, dict) else [leaf for item in value.values() for leaf in leaves(item)]


@given(VALUES)
def test_flattening_keeps_every_leaf_and_no_nesting(value):
    shown = [json.dumps(leaf, ensure_ascii=False) if isinstance(leaf, list) else leaf for leaf in leaves(value)]
    assert [leaf for _, leaf in _flat("x", value)] == shown


def test_parts_and_options_have_dotted_names(make_record):
    record = make_record(category="bolt").to_json()
    record["recipe"]["spec"] = {
        "backbone": [{"name": "resnet50", "options": {"layers": [2, 3], "weights": None}, "version": 1}],
        "neck": [{"name": "patchify", "options": {"size": 3}}, {"name": "concat-layers", "options": {}}],
        "masker": [],
        "map": {"sigma": 4.0},
    }
    found = flat_record(record).parameters
    assert found["backbone"] == "resnet50"
    assert found["backbone.layers"] == "[2, 3]"
    assert "backbone.weights" not in found, "an option without a value says nothing"
    assert (found["neck.1"], found["neck.1.size"], found["neck.2"]) == ("patchify", 3, "concat-layers")
    assert found["map.sigma"] == 4.0
    assert (found["category"], found["seed"]) == ("bolt", 0)


def test_figures_have_the_ends_of_their_intervals_and_no_holes(make_record):
    record = make_record(category="bolt").to_json()
    record["metrics"] = {
        "image-auroc": {"value": 0.5, "version": 1, "reason": "", "interval": [0.25, 0.75]},
        "pixel-ap": {"value": None, "version": 1, "reason": "no map", "interval": None},
    }
    record["facts"] = {"recall": 1}
    found = flat_record(record)
    assert found.metrics["image-auroc"] == 0.5
    assert (found.metrics["image-auroc.low"], found.metrics["image-auroc.high"]) == (0.25, 0.75)
    assert not any(name.startswith("pixel-ap") for name in found.metrics)
    assert found.metrics["fact.recall"] == 1.0
    assert found.metrics["cost.ms_per_image.p50"] == record["cost"]["ms_per_image"]["p50"]


def test_a_failed_unit_has_its_reason_and_no_figures(make_record):
    record = make_record(category="bolt").to_json() | {"status": "timeout", "reason": "too slow", "metrics": {}}
    found = flat_record(record | {"cost": None, "facts": {}})
    assert not found.well
    assert found.metrics == {}
    assert (found.labels["status"], found.labels["reason"]) == ("timeout", "too slow")
