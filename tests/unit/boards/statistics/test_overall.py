from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, t

from adbench.boards.board import Board
from adbench.boards.statistics.overall import mean_of_sets, overall
from adbench.boards.tables.tidy import BoardTruth, tidy

RULES = {"train": "all", "seeds": [0]}
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""The fixture only makes records, and keeps nothing."""
FIGURES = st.integers(0, 8).map(lambda value: value / 8)


def board(dataset, metrics=("image-auroc",), **protocol):
    return Board.model_validate(
        {"title": dataset, "dataset": dataset, "protocol": RULES | protocol, "metrics": metrics, "rank_by": metrics[0]}
    )


@pytest.fixture
def make_boards(make_record):
    """Boards of named methods with a figure for each category."""

    def make(figures, unverified=(), **regime):
        boards = []
        for dataset, methods in figures.items():
            records = [
                make_record(name, f"c{number}", auroc=value, dataset=dataset, **regime)
                for name, values in methods.items()
                for number, value in enumerate(values)
            ]
            truth = BoardTruth(frozenset(each.id for each in records if each.recipe.name in unverified))
            boards.append((f"{dataset}/full-shot", tidy(board(dataset), records, truth)))
        return boards

    return make


def by_label(group):
    return {entry.label: entry for entry in group.entries}


def test_a_method_on_all_sets_is_ranked_and_one_with_a_gap_is_listed(make_boards):
    (group,) = overall(
        make_boards(
            {
                "one": {"a": [0.9, 0.7], "b": [0.6, 0.6], "c": [1.0, 1.0]},
                "two": {"a": [0.5], "b": [0.75], "d": [0.9]},
                "three": {"a": [0.9], "b": [0.8], "c": [0.99]},
            }
        )
    )
    assert group.sets == ("one", "three", "two")
    assert [entry.label for entry in group.entries] == ["a", "b", "c"], "d stands on one board alone"
    found = by_label(group)
    assert found["a"].ranks == {"one": 1, "three": 1, "two": 2}
    assert found["a"].rank.mean == pytest.approx(4 / 3)
    assert found["a"].mean.mean == pytest.approx((0.8 + 0.9 + 0.5) / 3)
    assert (found["c"].rank, found["c"].mean, dict(found["c"].ranks)) == (None, None, {})
    assert found["c"].figures["one"].mean == 1.0
    assert group.ranking.categories == 4
    assert group.ranking.ranks == {"a": 1.25, "b": 1.75}


@pytest.mark.slow
@FEW
@given(st.integers(2, 4), st.integers(2, 5), st.data())
def test_ranks_are_those_of_each_set_and_of_all_categories(make_boards, sets, methods, data):
    """Ties share the mean of their ranks; the mean over sets gives each the same weight, whatever its categories."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=sets, max_size=sets))
    values = {
        f"set{number}": {f"m{m}": data.draw(st.lists(FIGURES, min_size=size, max_size=size)) for m in range(methods)}
        for number, size in enumerate(sizes)
    }
    (group,) = overall(make_boards(values))
    found = by_label(group)
    means = np.array([[math.fsum(v) / len(v) for v in own.values()] for own in values.values()])
    ranks = np.array([rankdata(-row.round(12)) for row in means])
    for number in range(methods):
        entry = found[f"m{number}"]
        assert list(entry.ranks.values()) == ranks[:, number].tolist()
        assert entry.rank.mean == pytest.approx(ranks[:, number].mean())
        assert entry.mean.mean == pytest.approx(means[:, number].mean())
        low, high = entry.rank.interval
        assert 1 <= low <= entry.rank.mean <= high <= methods
    assert sum(entry.rank.mean for entry in group.entries) == pytest.approx(methods * (methods + 1) / 2)
    assert [entry.rank.mean for entry in group.entries] == sorted(entry.rank.mean for entry in group.entries)
    cells = np.array([[v for own in values.values() for v in own[f"m{m}"]] for m in range(methods)])
    over_all = rankdata(-cells, axis=0).mean(axis=1)
    assert [group.ranking.ranks[f"m{m}"] for m in range(methods)] == pytest.approx(over_all.tolist())


@pytest.mark.slow
@FEW
@given(st.data())
def test_the_order_of_boards_and_a_method_with_a_gap_change_no_rank(make_boards, data):
    names = ["one", "two", "three"]
    values = {name: {m: [data.draw(FIGURES)] for m in "abc"} for name in names}
    plain = by_label(overall(make_boards(values))[0])
    values["two"] |= {"gap": [data.draw(FIGURES)]}
    values["one"] |= {"gap": [data.draw(FIGURES)]}
    boards = data.draw(st.permutations(make_boards(values)))
    found = by_label(overall(boards)[0])
    assert found.pop("gap").rank is None
    assert {label: entry.rank for label, entry in found.items()} == {label: e.rank for label, e in plain.items()}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_an_interval_is_student_s(values):
    found = mean_of_sets(values, 0.0, 1.0)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    low, high = np.mean(values) + np.array([-1, 1]) * t.ppf(0.975, len(values) - 1) * error
    assert found.interval == pytest.approx((max(0, low), min(1, high)), abs=1e-9)
    assert mean_of_sets(values[:1], 0.0, 1.0).interval is None


def test_agreement_is_kendall_s(make_boards):
    one, two = [0.1, 0.2, 0.3, 0.3], [0.9, 0.7, 0.8, 0.6]
    values = {
        name: {f"m{m}": [value] for m, value in enumerate(column)}
        for name, column in {"one": one, "two": two, "flat": [0.5] * 4}.items()
    }
    (group,) = overall(make_boards(values))
    assert group.agreement[("one", "two")] == pytest.approx(kendalltau(one, two).statistic)
    assert group.agreement[("flat", "one")] is None


def test_the_first_is_tested_against_the_others_over_enough_categories(make_boards):
    values = {name: {"a": [0.9] * 3, "b": [0.5, 0.6, 0.7], "c": [0.1, 0.3, 0.2]} for name in ("one", "two")}
    (group,) = overall(make_boards(values))
    assert group.tests.p.keys() == {"b", "c"}
    assert "6 categories" in group.tests.test
    (group,) = overall(make_boards({name: {m: v[:1] for m, v in own.items()} for name, own in values.items()}))
    assert (group.tests.p, group.tests.test[:4]) == ({}, "none")


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"one": {"a": [0.5], "b": [0.5]}},
        {"one": {"a": [0.5]}, "two": {"a": [0.5]}},
        {"one": {"a": [0.5], "b": [0.6]}, "two": {"c": [0.5], "d": [0.6]}},
    ],
    ids=["nothing", "one set", "one method", "no method on both"],
)
def test_nothing_is_compared_where_nothing_can_be(make_boards, figures):
    assert overall(make_boards(figures)) == []


def test_other_protocols_and_unverified_records_are_apart(make_boards):
    values = {name: {"a": [0.5], "b": [0.6]} for name in ("one", "two")}
    one, two = make_boards(values)
    other = tidy(board("two", limit_test=3), two[1].records)
    assert overall([one, ("two/other", other)]) == []
    assert overall(make_boards(values, unverified=("a",))) == []


def test_two_boards_of_one_data_set_are_told_apart(make_boards):
    one, two = make_boards({name: {"a": [0.5], "b": [0.6]} for name in ("one", "two")})
    again = ("one/again", one[1])
    (group,) = overall([one, two, again])
    assert group.sets == ("one/again", "one/full-shot", "two")


def test_a_method_that_was_tuned_on_one_set_is_ranked_apart_on_all(make_boards):
    values = {name: {"a": [0.5], "b": [0.6]} for name in ("one", "two")}
    plain, tuned = make_boards(values), make_boards(values, tuned_on_test=True)
    (group,) = overall([plain[0], tuned[1]])
    assert group.regime.tuned_on_test


def test_random_weights_bear_their_mark(make_boards):
    values = {name: {"a": [0.5], "b": [0.6]} for name in ("one", "two")}
    (group,) = overall(make_boards(values, random_weights=True))
    assert [entry.label for entry in group.entries] == ["b †", "a †"]
