from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import UsageError
from adbench.engine.evaluate.threshold import IMPROBABLE, Threshold, _at_least, deploy, false_alarm_note
from adbench.engine.plan.threshold_rule import Rule, conformal, quantile, sigma
from adbench.engine.store.normal_scores import NormalScores

SOURCE = "cross-fitted k=5"
scores = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60)


def normals(*values):
    return NormalScores(np.array(values, np.float32), SOURCE)


def outcome(rule, normal, labels, values):
    return deploy(rule, normal, np.array(labels, bool), np.array(values, np.float32))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("count", [1, 4, 9, 18, 19, 20, 38, 99, 152])
def test_the_bound_leaves_no_more_than_alpha_above(alpha, count):
    """Of N + 1 exchangeable images each is the new one equally often: count the alarms over all choices, exactly."""
    values = np.arange(count + 1, dtype=np.float32)
    bounds = [conformal(np.delete(values, new), alpha) for new in range(count + 1)]
    if bounds[0] is None:
        assert count < 1 / alpha - 1
        return
    rate = sum(new > bound for new, bound in enumerate(bounds)) / (count + 1)
    assert rate <= alpha
    assert rate > alpha - 1 / (count + 1) - 1e-9  # nor is a false alarm given away


@given(scores, st.sampled_from([0.05, 0.1, 0.3]))
def test_ties_cost_no_false_alarm(values, alpha):
    pool = np.array([*values, values[0]], np.float32)
    bounds = [conformal(np.delete(pool, new), alpha) for new in range(len(pool))]
    alarms = sum(bound is not None and pool[new] > bound for new, bound in enumerate(bounds))
    assert alarms <= alpha * len(pool) + 1e-9


def test_the_rate_over_many_draws_is_alpha():
    rng = np.random.default_rng(0)
    alarms = [rng.gamma(2.0) > conformal(rng.gamma(2.0, size=39), 0.05) for _ in range(4000)]
    assert abs(np.mean(alarms) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 19), (0.1, 9), (0.01, 99), (0.3, 3)])
def test_least_is_the_least(alpha, least):
    assert Rule(alpha=alpha).least == least
    assert conformal(np.zeros(least), alpha) is not None
    assert conformal(np.zeros(least - 1), alpha) is None


@given(scores, st.floats(0.01, 1))
def test_a_quantile_covers_its_share(values, q):
    bound = quantile(np.array(values), q)
    assert sum(value <= bound for value in values) >= q * len(values) - 1e-6
    assert bound in values


def test_sigma_is_mean_plus_k_sample_deviations():
    assert sigma(np.array([1, 2, 3], np.float32), 3) == pytest.approx(2 + 3)
    assert sigma(np.array([1.0]), 3) is None
    assert quantile(np.zeros(0), 0.5) is None


def test_what_a_threshold_does_on_the_test_set():
    labels, values = [0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 2, 5, 2, 4, 6, 7]
    found = outcome(Rule("quantile", alpha=0.5), normals(1, 3, 3.5), labels, values)
    assert (found.value, found.normals, found.source, found.alpha, found.k) == (3, 3, SOURCE, 0.5, None)
    assert (found.precision, found.recall, found.f1, found.fpr) == (0.75, 0.75, 0.75, 0.25)
    assert found.oracle_f1 == pytest.approx(8 / 10)  # all four found at the price of two false alarms: score >= 2
    assert found.oracle_gap == pytest.approx(8 / 10 - 0.75)


def test_a_score_at_the_threshold_is_good():
    found = outcome(Rule("quantile"), normals(1), [0, 1], [1, 1])
    assert (found.fpr, found.recall, found.precision, found.f1) == (0, 0, None, 0)


@pytest.mark.parametrize(
    ("labels", "missing"), [([0, 0], {"recall", "f1", "oracle_f1"}), ([1, 1], {"fpr", "oracle_f1"})]
)
def test_what_is_undefined_is_null(labels, missing):
    found = outcome(Rule("sigma"), normals(0, 1), labels, [9, 9]).model_dump()
    assert {name for name in ("precision", "recall", "f1", "fpr", "oracle_f1") if found[name] is None} == missing
    assert found["oracle_gap"] is None


def test_too_few_normal_images_are_a_reason():
    found = outcome(Rule("conformal"), normals(1, 2, 3), [0, 1], [1, 2])
    assert (found.value, found.f1) == (None, None)
    assert found.reason == "conformal needs 19 normal images that the bank has not seen; there are 3"
    why = NormalScores(np.zeros(0), SOURCE, "the bank learns from the test images")
    assert outcome(Rule("sigma"), why, [0, 1], [1, 2]).reason == why.reason


@settings(max_examples=50)
@given(scores, st.lists(st.tuples(st.booleans(), st.floats(-100, 100, width=32)), min_size=1, max_size=40),
       st.sampled_from(["conformal", "quantile", "sigma"]))  # fmt: skip
def test_a_threshold_is_json_and_never_beats_the_oracle(normal, tested, name):
    found = outcome(Rule(name), normals(*normal), *zip(*tested, strict=True))
    assert Threshold.model_validate_json(found.model_dump_json()) == found
    json.dumps(found.model_dump(), allow_nan=False)
    if found.oracle_gap is not None:
        assert found.f1 <= found.oracle_f1 + 1e-12


@given(scores)
def test_the_order_of_normal_images_does_not_matter(values):
    for rule in (Rule("conformal"), Rule("quantile")):
        assert rule.threshold(np.array(values)) == rule.threshold(np.array(values[::-1]))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("conformal", Rule()),
        ("conformal:alpha=0.01", Rule("conformal", alpha=0.01)),
        ("quantile:alpha=.1", Rule("quantile", alpha=0.1)),
        ("sigma", Rule("sigma")),
        ("sigma:k=2", Rule("sigma", k=2.0)),
    ],
)
def test_a_rule_is_read_as_people_write_it(text, rule):
    assert Rule.parse(text) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f1-max", "write one of conformal, quantile, sigma, or none"),
        ("none", "a detector needs a threshold; write one of conformal, quantile, sigma"),
        ("sigma:alpha=2", "write sigma, or sigma:k=NUMBER with a number between"),
        ("sigma:k", "sigma:k=NUMBER"),
        ("sigma:k=two", "sigma:k=NUMBER"),
        ("sigma:k=nan", "sigma:k=NUMBER"),
        ("sigma:k=inf", "sigma:k=NUMBER"),
        ("conformal:alpha=1", "between 1e-06 and 1"),
        ("quantile:alpha=0", "between 1e-06 and 1"),
        ("conformal:alpha=5e-324", "between 1e-06 and 1"),
        ("sigma:k=1e308", "between 1e-06 and 1e"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_would_be_one(text, message):
    with pytest.raises(UsageError, match=message):
        Rule.parse(text)


def test_a_threshold_tells_what_would_come_of_it():
    reported = str(outcome(Rule("quantile", alpha=0.5), normals(1, 2, 3), [False, True, True], [1, 1.5, 4]))
    assert reported == "threshold 2, cross-fitted k=5 of 3 normal images: F1 66.7 %, false alarms 0.0 %"
    assert str(outcome(Rule("quantile"), normals(1), [True], [4])).endswith("false alarms n/a")
    assert "no threshold: conformal needs 19 normal images" in str(outcome(Rule(), normals(1), [True], [4]))


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.05, 0.3, 0.5, 0.9, 0.999999999999])
@pytest.mark.parametrize("count", [0, 1, 2, 19, 98, 99])
def test_a_rule_lacks_images_where_it_gives_no_threshold_and_only_there(alpha, count):
    rule = Rule(alpha=alpha)
    assert (rule.threshold(np.arange(count, dtype=np.float32)) is None) == bool(rule.lacks(count))


@pytest.mark.parametrize("text", ["conformal:alpha=0.01", "quantile:alpha=0.2", "sigma:k=2.5", "conformal:alpha=0.05"])
def test_a_rule_is_written_as_it_is_read(text):
    rule = Rule.parse(text)
    assert rule.words == text
    made = outcome(rule, normals(*range(120)), [True, False], [1.0, 0.0])
    assert made.rule == rule


def test_scores_that_were_not_made_are_not_kept():
    empty = NormalScores(np.zeros(0, np.float32), SOURCE, "conformal needs 19", made=False)
    assert outcome(Rule(), empty, [True, False], [1.0, 0.0]).reason == "conformal needs 19"


def measured(alarms, images, normals=24, **rest):
    fields = {"method": "conformal", "source": SOURCE, "normals": normals, "alpha": 0.05, "value": 1.0}
    return false_alarm_note(Threshold(**{**fields, "fpr": alarms / images, **rest}), images)


def test_far_more_false_alarms_than_intended_get_a_note():
    assert measured(8, 12).startswith("8 of 12 normal test images raise an alarm, and the rule intends 5 %: ")


@pytest.mark.parametrize(("alarms", "images"), [(0, 12), (1, 12), (2, 12), (1, 1)])
def test_false_alarms_that_chance_explains_get_none(alarms, images):
    assert measured(alarms, images) == ""


def test_rules_without_a_promise_get_none():
    assert measured(12, 12, method="sigma", alpha=None, k=3.0) == ""
    assert measured(12, 12, method="quantile") == ""


@pytest.mark.parametrize(("images", "above", "below"), [(12, 1, 24), (40, 3, 57), (5, 2, 8)])
def test_the_probability_is_that_of_scipys_distribution(images, above, below):
    from scipy.stats import betabinom

    for alarms in range(images + 1):
        expected = betabinom.sf(alarms - 1, images, above, below)
        assert _at_least(alarms, images, above, below) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_the_note_is_rare_where_the_promise_holds():
    """Over draws of exchangeable scores, notes come with at most the stated probability."""
    rng, notes, draws = np.random.default_rng(0), 0, 3000
    for _ in range(draws):
        pool = rng.normal(size=24 + 30).astype(np.float32)
        found = deploy(Rule(), NormalScores(pool[:24], SOURCE), np.zeros(30, bool), pool[24:])
        notes += bool(false_alarm_note(found, 30))
    assert notes <= draws * IMPROBABLE + 4 * math.sqrt(draws * IMPROBABLE)
