from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from adbench.boards.board import Board
from adbench.boards.records.keys import UnitKey
from adbench.boards.statistics import stats
from adbench.boards.statistics.stats import (
    Ranking,
    _components,
    _delong,
    _groups,
    _wilcoxon,
    compare,
    critical_difference,
    ranking,
)
from adbench.boards.tables.table import tables
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Details

BOARD = Board.model_validate(
    {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc", "pixel-auroc"]}
)


@pytest.fixture
def make_data(make_record):
    """A board of named methods with a figure, or one a seed, for each category."""

    def make(seeds=(0,), missing=(), **methods):
        records = [
            make_record(name, f"c{number:02}", seed, auroc=float(np.atleast_1d(value)[place % np.size(value)]))
            for name, values in methods.items()
            for number, value in enumerate(values)
            for place, seed in enumerate(seeds)
            if (name, number, seed) not in missing
        ]
        return tidy(BOARD, records)

    return make


def names(data):
    return {method.label: method for method in data.methods}


def nothing(_):
    return None


def test_ranks_are_averaged_over_categories_and_ties_share_theirs(make_data):
    data = make_data(a=[0.9, 0.8, 0.5], b=[0.9, 0.7, 0.6], c=[0.1, 0.7, 0.4])
    found = ranking(data, data.methods, "image-auroc")
    assert found.ranks == pytest.approx({"a": (1.5 + 1 + 2) / 3, "b": (1.5 + 2.5 + 1) / 3, "c": (3 + 2.5 + 3) / 3})
    assert list(found.ranks) == sorted(found.ranks, key=found.ranks.get)


def test_seeds_are_averaged_before_methods_are_ranked(make_data):
    """One lucky seed does not win a category, and rounding makes no rank."""
    data = make_data(seeds=(0, 1, 2), a=[[0.99, 0.1, 0.1]], b=[[0.5, 0.5, 0.5]], c=[[0.6, 0.5, 0.4]])
    assert ranking(data, data.methods, "image-auroc").ranks == {"b": 1.5, "c": 1.5, "a": 3}


def test_who_lacks_a_figure_is_not_ranked(make_data):
    data = make_data(seeds=(0, 1), missing=[("b", 1, 1)], a=[0.5, 0.5], b=[0.9, 0.9], c=[0.6, 0.6])
    assert ranking(data, data.methods, "image-auroc").ranks == {"c": 1, "a": 2}
    assert ranking(data, data.methods, "other").ranks == {}


@pytest.mark.parametrize(("methods", "categories"), [(2, 12), (12, 2)])
def test_few_methods_or_categories_make_no_groups(make_data, methods, categories):
    data = make_data(**{f"m{number:02}": [number / 20] * categories for number in range(methods)})
    found = ranking(data, data.methods, "image-auroc")
    assert (found.friedman, found.difference, found.groups) == (None, None, ())
    assert list(found.ranks.values()) == list(range(1, methods + 1))


def test_methods_that_are_always_alike_are_one_group(make_data):
    data = make_data(a=[0.5] * 5, b=[0.5] * 5, c=[0.5] * 5)
    found = ranking(data, data.methods, "image-auroc")
    assert (found.friedman, found.groups) == (1, (("a", "b", "c"),))


def test_groups_are_the_longest_runs_and_overlap():
    ranks = {"a": 1.0, "b": 1.5, "c": 2.4, "d": 4.0, "e": 4.0}
    assert _groups(ranks, 1.0) == (("a", "b"), ("b", "c"), ("d", "e"))
    assert _groups(ranks, 0.1) == (("a",), ("b",), ("c",), ("d", "e"))
    assert _groups(ranks, 9.0) == (tuple(ranks),)


def test_a_method_knows_the_first_and_the_last_of_its_groups():
    order = Ranking({}, 3, groups=(("a", "b"), ("b", "c"), ("c", "d")))
    assert order.numbers == {"a": (1, 1), "b": (1, 2), "c": (2, 3), "d": (3, 3)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_groups_are_those_of_scikit_posthocs(make_data, seed):
    posthocs = pytest.importorskip("scikit_posthocs")
    rng = np.random.default_rng(seed)
    figures = rng.uniform(0, 0.4, (6, 15)) + np.linspace(0, 0.5, 6)[:, None]
    data = make_data(**{f"m{number}": row.tolist() for number, row in enumerate(figures)})
    found = ranking(data, data.methods, "image-auroc")
    p = posthocs.posthoc_nemenyi_friedman(figures.T).to_numpy()
    assert found.friedman == pytest.approx(scipy_stats.friedmanchisquare(*figures).pvalue)
    assert len(found.groups) > 1
    for one in range(6):
        for other in range(one):
            together = any({f"m{one}", f"m{other}"} <= set(group) for group in found.groups)
            assert together == (p[one, other] > stats.ALPHA)


def test_the_critical_difference_is_that_of_the_literature():
    """Demšar 2006: 4 methods on 14 data sets, with q 2.569 from its table 5."""
    assert critical_difference(4, 14) == pytest.approx(2.569 * (4 * 5 / (6 * 14)) ** 0.5, rel=1e-3)


@pytest.mark.slow
def test_with_enough_categories_pairs_of_categories_are_tested(make_data):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.9, 15)
    data = make_data(
        best=base, close=base + rng.normal(0, 0.01, 15), worse=base - rng.uniform(0.01, 0.1, 15), same=base
    )
    by = names(data)
    found = compare(data, by["best"], [by["close"], by["worse"], by["same"]], "image-auroc", nothing)
    assert "15 categories" in found.test
    assert found.p["worse"] == pytest.approx(3 * 2 / 2**15)
    assert found.p["same"] == 1
    assert found.p["worse"] < 0.05 < found.p["close"]


@pytest.mark.slow
@settings(max_examples=5, deadline=None)  # scipy's own takes half a second a row
@given(arrays(np.int64, (4, 9), elements=st.integers(-4, 20)))
def test_pairs_tested_at_once_are_as_if_tested_one_by_one(differences):
    found = _wilcoxon([0.5] * 9, (0.5 - differences / 16).tolist())
    for row, p in zip(differences / 16, found, strict=True):
        assert p == pytest.approx(scipy_stats.wilcoxon(row).pvalue if row.any() else 1)


def test_a_seed_is_no_further_category(make_data):
    """Nine pairs would be enough; three categories are not."""
    data = make_data(seeds=(0, 1, 2), a=[0.9, 0.8, 0.7], b=[0.8, 0.7, 0.6])
    by = names(data)
    assert compare(data, by["a"], [by["b"]], "image-auroc", nothing).p == {}


@pytest.mark.slow
def test_many_comparisons_are_corrected(make_data):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.9, 8)
    methods = {f"m{number}": base - rng.uniform(0.01, 0.1, 8) for number in range(9)}
    data = make_data(best=base, **methods)
    by = names(data)
    alone = compare(data, by["best"], [by["m0"]], "image-auroc", nothing).p["m0"]
    among = compare(data, by["best"], [by[name] for name in methods], "image-auroc", nothing).p["m0"]
    assert (alone, among) == pytest.approx((2 / 2**8, 9 * 2 / 2**8))


@pytest.mark.slow
def test_only_complete_methods_are_compared(make_data):
    data = make_data(missing=[("b", 3, 0)], a=[0.9] * 7, b=[0.8] * 7, c=[0.8] * 7)
    by = names(data)
    assert set(compare(data, by["a"], [by["b"], by["c"]], "image-auroc", nothing).p) == {"c"}
    assert compare(data, by["b"], [by["a"]], "image-auroc", nothing).p == {}
    assert compare(data, by["a"], [by["b"]], "image-auroc", nothing).p == {}


def make_details(record_id, scores, labels):
    images = [
        {"id": f"{number:03}", "defect": "spot" if shown else "good", "score": float(score)}
        for number, (score, shown) in enumerate(zip(scores, labels, strict=True))
    ]
    curves = {"roc": [], "pro": []}
    return Details.model_validate({"id": record_id, "images": images, "by_defect": {}, "curves": curves})


@pytest.fixture
def with_details(make_data):
    """Two methods on three categories with two seeds; by how much each raises the scores of defects can be given."""

    def make(shift, *, noise=1.0, images=40):
        labels = np.repeat([False, True], images // 2)
        data, found = make_data(seeds=(0, 1), a=[0.9] * 3, b=[0.8] * 3), {}
        for unit in data.methods[0].records:
            rng = np.random.default_rng(int(unit.category[1:]))
            shared, own = rng.normal(size=images), np.random.default_rng(unit.seed + 10)
            for method in data.methods:
                scores = shared + shift[method.label] * labels + own.normal(0, noise, images)
                found[method.records[unit].id] = make_details(method.records[unit].id, scores, labels)
        return data, found

    return make


@pytest.mark.slow
def test_with_few_categories_images_are_tested(with_details):
    data, details = with_details({"a": 2.5, "b": 0.5})
    by = names(data)
    found = compare(data, by["a"], [by["b"]], "image-auroc", details.get)
    assert "DeLong" in found.test
    assert found.p["b"] < 0.001
    data, details = with_details({"a": 1.0, "b": 1.0})
    by = names(data)
    assert compare(data, by["a"], [by["b"]], "image-auroc", details.get).p["b"] > 0.05


def test_other_metrics_and_missing_or_other_images_are_not_tested(with_details):
    data, details = with_details({"a": 2.5, "b": 0.5})
    first, second = data.methods
    assert compare(data, first, [second], "pixel-auroc", details.get).p == {}
    lost = second.records[UnitKey("c01", 1)].id
    assert compare(data, first, [second], "image-auroc", {**details, lost: None}.get).p == {}
    changed = details[lost].model_copy(update={"images": details[lost].images[::-1]})
    assert compare(data, first, [second], "image-auroc", {**details, lost: changed}.get).p == {}
    single = {name: each.model_copy(update={"images": each.images[19:]}) for name, each in details.items()}
    assert compare(data, first, [second], "image-auroc", single.get).p == {}


@settings(deadline=None)
@given(
    arrays(np.int64, (2, 12), elements=st.integers(0, 8)),
    st.integers(2, 10),
)
def test_components_count_pairs_and_their_mean_is_the_auroc(scores, bad):
    labels = np.arange(12) < bad
    for row in scores:
        values = _components(make_details("a" * 64, row, labels)).shares
        pairs = (row[labels][:, None] > row[~labels]) + 0.5 * (row[labels][:, None] == row[~labels])
        assert values[labels] == pytest.approx(pairs.mean(1))
        assert values[~labels] == pytest.approx(pairs.mean(0))


@settings(deadline=None)
@given(arrays(np.float64, (2, 12), elements=st.floats(-1, 1, width=16)))
def test_delong_is_symmetric_and_finds_nothing_in_itself(scores):
    labels = np.arange(12) < 5
    one, other = ([_components(make_details("a" * 64, row, labels))] for row in scores)
    assert _delong(one, other) == _delong(other, one)
    assert 0 <= _delong(one, other) <= 1
    assert _delong(one, one) == 1


@pytest.mark.slow
def test_delong_is_as_sure_as_drawing_images_again():
    """The standard error behind p is that of a bootstrap of the difference."""
    rng = np.random.default_rng(0)
    labels = np.repeat([False, True], [150, 200])
    shared = rng.normal(size=350)
    scores = [shared + shift * labels + rng.normal(0, 0.7, 350) for shift in (1.6, 1.3)]
    one, other = (_components(make_details("a" * 64, row, labels)) for row in scores)

    def auroc(row, good, bad):
        return scipy_stats.mannwhitneyu(row[bad], row[good]).statistic / (len(good) * len(bad))

    draws = []
    for _ in range(600):
        good, bad = (rng.choice(np.flatnonzero(kind), kind.sum()) for kind in (~labels, labels))
        draws.append(auroc(scores[0], good, bad) - auroc(scores[1], good, bad))
    difference = (one.shares - other.shares)[labels].mean()
    z = scipy_stats.norm.isf(_delong([one], [other]) / 2)
    assert abs(difference) / z == pytest.approx(np.std(draws), rel=0.15)


def test_perfect_methods_of_opposite_mind_differ_for_sure():
    labels = np.repeat([False, True], 4)
    right, wrong = ([_components(make_details("a" * 64, sign * labels, labels))] for sign in (1, -1))
    assert _delong(right, wrong) == 0


def test_the_table_says_how_sure_the_order_is(make_data):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.9, 15)
    data = make_data(a=base, b=base - rng.uniform(0.01, 0.02, 15), c=base - 0.3, part=base[:14])
    records = [record for method in data.methods for record in method.records.values()]
    (table,) = [each for each in tables(tidy(BOARD, records)) if each.title.startswith("Statistics")]
    assert table.columns == ("method", "average rank", "group", "p against the first")
    assert table.rows == (
        ("a", "1.00", "1", "—"),
        ("b", "2.00", "2", "< 0.001"),
        ("c", "3.00", "3", "< 0.001"),
    )
    assert "Friedman's test of all being alike: p < 0.001" in table.notes[0]
    assert "Wilcoxon's signed-rank test over 15 categories, corrected for their number (Holm)" in table.notes[1]


def test_one_method_alone_has_no_statistics(make_data):
    data = make_data(a=[0.5] * 8)
    records = list(data.methods[0].records.values())
    assert not [table for table in tables(tidy(BOARD, records)) if table.title.startswith("Statistics")]


def test_the_module_imports_nothing_heavy():
    said = "import sys, adbench.boards.tables.table; print({'scipy', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.slow
@settings(max_examples=20, deadline=None)  # statsmodels' own takes a tenth of a second
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.5, 1.0]), min_size=1, max_size=40))
def test_holm_s_correction_is_statsmodels(p):
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    labels = [str(number) for number in range(len(p))]
    assert list(stats._holm(labels, p).values()) == multitest.multipletests(p, method="holm")[1].tolist()
