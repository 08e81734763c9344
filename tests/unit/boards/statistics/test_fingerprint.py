from __future__ import annotations

import numpy as np
import pytest

from adbench.api.curves.curve import curve_of_maps
from adbench.api.metric import Evidence
from adbench.boards.board import Board
from adbench.boards.statistics.fingerprint import DEFINITIONS, ON_A_GRID, fingerprint, terms
from adbench.boards.tables.methods import RegimeGroup
from adbench.boards.tables.tidy import tidy
from adbench.builtin.metrics_pixel import PixelAupro05, PixelAupro30
from adbench.engine.plan.protocol import Protocol, _draw


def board(**rules):
    protocol = {"train": "all", **rules}
    fields = {"title": "Demo", "dataset": "demo", "metrics": ["image-auroc"], "rank_by": "image-auroc"}
    return Board.model_validate({**fields, "protocol": protocol})


def print_of(board, records, regime=None, threshold=""):
    return fingerprint(tidy(board, records), regime or RegimeGroup(), threshold)


def test_it_is_eight_digits_and_depends_on_nothing_else(make_record):
    first, second = make_record("a", auroc=0.1), make_record("b", category="cable", auroc=0.9, device="gpu")
    assert print_of(board(), [first]) == print_of(board(), [second])
    assert len(print_of(board(), [first])) == 8
    renamed = board().model_copy(update={"title": "Another"})
    assert print_of(renamed, [first]) == print_of(board(), [first])


@pytest.mark.parametrize(
    "rules",
    [{"seeds": [0]}, {"evaluation": "256"}, {"limit_test": 5}, {"limit_train": 5}, {"class_names": True},
     {"allow": ["train", "test"]}, {"contaminate": 0.1}, {"model_per": "dataset"},
     {"allow": ["train", "labelled"], "defect_shots": 1}],
)  # fmt: skip
def test_every_rule_of_the_protocol_is_in_it(make_record, rules):
    assert print_of(board(**rules), [make_record()]) != print_of(board(), [make_record()])


def test_how_masks_come_to_a_grid_is_in_it_where_there_is_one(make_record):
    data = tidy(board(evaluation="256"), [make_record()])
    assert terms(data, RegimeGroup())["definitions"] == {**DEFINITIONS, **ON_A_GRID}
    assert terms(tidy(board(), [make_record()]), RegimeGroup())["definitions"] == DEFINITIONS


@pytest.mark.parametrize(
    "regime",
    [
        RegimeGroup(shots=4),
        RegimeGroup(zero_shot=True),
        RegimeGroup(transductive=True),
        RegimeGroup(outdated=("image-auroc 1",)),
        RegimeGroup(tuned_on_test=True),
        RegimeGroup(contamination=0.1),
        RegimeGroup(all_categories=True),
    ],
)
def test_what_a_method_was_given_is_in_it(make_record, regime):
    assert print_of(board(), [make_record()], regime) != print_of(board(), [make_record()])


def test_a_regime_that_came_later_moves_no_other_fingerprint(make_record):
    assert "tuned_on_test" not in terms(tidy(board(), [make_record()]), RegimeGroup())["regime"]


def test_the_versions_of_metrics_and_the_threshold_are_in_it(make_record):
    old = make_record()
    metrics = {**old.metrics, "image-auroc": old.metrics["image-auroc"].model_copy(update={"version": 2})}
    new = old.model_copy(update={"metrics": metrics})
    assert print_of(board(), [new]) != print_of(board(), [old])
    assert print_of(board(), [old], threshold="held-out") != print_of(board(), [old])
    unknown = old.model_copy(update={"metrics": {**old.metrics, "mine": old.metrics["image-auroc"]}})
    assert print_of(board(), [unknown]) == print_of(board(), [old])  # no metric of the board


def test_methods_with_older_metrics_are_listed_apart(make_record):
    old, new = make_record("old"), make_record("new")
    metrics = {**new.metrics, "image-auroc": new.metrics["image-auroc"].model_copy(update={"version": 2})}
    data = tidy(board(), [old, new.model_copy(update={"metrics": metrics})])
    (first, _), (second, _) = data.regimes
    assert (first.outdated, second.outdated) == ((), ("image-auroc 1",))
    assert fingerprint(data, first) != fingerprint(data, second)


def test_the_definitions_are_what_the_code_does(make_record):
    """Two regions that touch at a corner are one, good images count, and the limits are those of the metrics."""
    mask = np.zeros((8, 8), bool)
    mask[1, 1] = mask[2, 2] = True
    scores = np.arange(64, dtype=np.float32).reshape(8, 8)
    pairs = [(scores, mask), (scores + 0.5, np.zeros((8, 8), bool))]
    curve = curve_of_maps(lambda: iter(pairs))
    assert (DEFINITIONS["connectivity"], curve.negatives) == (8, 126)
    assert set(np.unique(curve.overlap)) <= {0, 0.5, 1}  # one region of two pixels
    evidence = Evidence(np.array([True, False]), np.zeros(2, np.float32), lambda: iter(pairs))
    for metric in (PixelAupro30(), PixelAupro05()):
        assert metric.measure(evidence).value == curve.aupro(DEFINITIONS["limits"][metric.name])
    pool, shots, seed = tuple("abcdef"), 2, 1
    assert list(_draw(pool, shots, seed, "x")) == sorted(pool)[seed * shots : (seed + 1) * shots]
    assert "sorted(train)[seed * shots:(seed + 1) * shots]" in DEFINITIONS["draws"]
    assert set(terms(tidy(board(), [make_record()]), RegimeGroup())["protocol"]) == set(Protocol.model_fields) - {
        "shots",
        "contaminate",
        "model_per",
        "defect_shots",
    }
