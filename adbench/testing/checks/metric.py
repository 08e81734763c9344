"""Rules for metrics. A metric is higher for better predictions."""

from __future__ import annotations

import math
from dataclasses import replace

from adbench import Evidence, Measure, Metric
from adbench.testing.check import Broken, Rule, Subject, require
from adbench.testing.reference_metrics import KNOWN
from adbench.testing.toy_truth import Case, evidence

CASES: tuple[Case, ...] = ("perfect", "noisy", "reversed", "constant", "ties")


def check_perfect_beats_reversed(subject: Subject[Metric]) -> None:
    """Perfect predictions measure higher than noisy ones, and those higher than reversed ones."""
    perfect, noisy, backwards = (_value(subject, evidence(case)) for case in CASES[:3])
    require(perfect > noisy > backwards, f"Perfect {perfect:.4f}, noisy {noisy:.4f}, reversed {backwards:.4f}.")


def check_constant_scores_are_measured(subject: Subject[Metric]) -> None:
    """Constant scores measure no higher than perfect ones, and never NaN."""
    constant, perfect = (_value(subject, evidence(case)) for case in ("constant", "perfect"))
    require(constant < perfect, f"Constant {constant:.4f}, perfect {perfect:.4f}.")


def check_order_does_not_matter(subject: Subject[Metric]) -> None:
    """Images in another order measure the same, also where scores tie."""
    for case in ("noisy", "ties"):
        forward = _value(subject, evidence(case))
        backward = _value(subject, evidence(case, order=(7, 2, 5, 0, 3, 6, 1, 4)))
        require(math.isclose(forward, backward, rel_tol=0, abs_tol=1e-9), f"{forward!r} became {backward!r} ({case}).")


def check_scores_are_ranked(subject: Subject[Metric]) -> None:
    """Only the order of scores counts: four times the scores measure the same, so nothing is clamped."""
    once, scaled = _value(subject, evidence("noisy")), _value(subject, evidence("noisy", scale=4.0))
    require(math.isclose(once, scaled, rel_tol=0, abs_tol=1e-9), f"{once!r} became {scaled!r}.")


def check_no_positives_is_undefined(subject: Subject[Metric]) -> None:
    """Without a defect in the test set the value is None, with a reason; never 0 and never NaN."""
    _undefined(subject.ready().measure(evidence("no positives")))


def check_no_maps_is_undefined(subject: Subject[Metric]) -> None:
    """Without maps a pixel metric is None, with a reason, and an image metric is what it was."""
    metric = subject.ready()
    bare = metric.measure(replace(evidence("noisy"), maps=None))
    if metric.level == "pixel":
        _undefined(bare)
    else:
        require(bare == metric.measure(evidence("noisy")), f"It became {bare}.")


def check_level_is_named(subject: Subject[Metric]) -> None:
    """The level is 'image' or 'pixel'."""
    require(subject.original.level in {"image", "pixel"}, f"It is {subject.original.level!r}.")


def check_agrees_with_slow_reference(subject: Subject[Metric]) -> None:
    """The value is what the definition gives, computed slowly, where the kit knows the definition (within 1e-6)."""
    slow = KNOWN.get(subject.original.name)
    for case in CASES if slow else ():
        fast, wanted = _value(subject, evidence(case)), slow(evidence(case)) if slow else 0.0
        require(
            math.isclose(fast, wanted, rel_tol=0, abs_tol=1e-6), f"{fast:.9f}, by definition {wanted:.9f} ({case})."
        )


def _value(subject: Subject[Metric], given: Evidence) -> float:
    measure = subject.ready().measure(given)
    if measure.value is None:
        raise Broken(f"It is undefined ({measure.reason}) where it should not be.")
    require(math.isfinite(measure.value), f"It is {measure.value}.")
    return measure.value


def _undefined(measure: Measure) -> None:
    require(measure.value is None, f"It is {measure.value}.")
    require(bool(measure.reason.strip()), "There is no reason.")


RULES: dict[str, tuple[Rule, ...]] = {
    "metric": (
        check_level_is_named,
        check_perfect_beats_reversed,
        check_constant_scores_are_measured,
        check_order_does_not_matter,
        check_scores_are_ranked,
        check_no_positives_is_undefined,
        check_no_maps_is_undefined,
        check_agrees_with_slow_reference,
    )
}
