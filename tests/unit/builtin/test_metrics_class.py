"""The metrics of classes: names, levels, and what they need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adbench.builtin.metrics_class import ClassAccuracy, ClassBalancedAccuracy, ClassF1Macro
from adbench.testing import parametrize_with_checks
from adbench.testing.toy_truth import evidence

METRICS = ClassAccuracy, ClassBalancedAccuracy, ClassF1Macro


@parametrize_with_checks([metric() for metric in METRICS])
def test_conforms(check):
    check()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_is_its_figure(metric):
    found = evidence("noisy")
    figures = {"accuracy": found.classes.accuracy, "f1-macro": found.classes.f1_macro}
    figures["balanced-accuracy"] = found.classes.balanced_accuracy
    assert metric().measure(found).value == figures[metric.name.removeprefix("class-")]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_method_without_classes_has_none(metric):
    found = metric().measure(replace(evidence("noisy"), classes=None))
    assert (found.value, found.reason) == (None, "the method gives no probabilities of classes")
