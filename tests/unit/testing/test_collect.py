"""Which checks run, how their failures are expected, and what pytest and the command line make of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adbench import Backbone, UnknownName, UsageError, WeightsError
from adbench.builtin import toy
from adbench.testing import Broken, Status, Unavailable, checks_for, parametrize_with_checks, run_checks
from adbench.testing.collect import _MODULES


class Silent(toy.ToyMedian):
    __doc__ = None


class Homeless(toy.ToyPixels):
    """Has weights that are nowhere."""

    def prepare(self, ctx):
        raise WeightsError("no weights; give weights=PATH")


def named(component, name):
    return [check for check in checks_for(component) if check.name == name]


def test_every_kind_has_checks_of_its_own():
    from adbench import Component

    kinds = {cls.kind for cls in Component.__subclasses__()} - {Component.kind}  # which mixins have
    assert kinds == set(_MODULES)


def test_names_ids_and_sentences():
    (check,) = named(toy.ToyMedian(), "fit-twice-is-fit-once")
    assert str(check) == "bank-toy-median-fit-twice-is-fit-once"
    assert check.sentence == "Fitting twice on the same images is the same as fitting once."


def test_names_are_unique_within_a_component():
    for component in (toy.ToyPixels(), toy.ToyMedian(), toy.ToyNearest(), toy.ToyBorder()):
        names = [check.name for check in checks_for(component)]
        assert len(set(names)) == len(names)


def test_run_checks_tells_all_four_endings():
    checks = [*named(toy.ToyMedian(), "class-has-a-docstring"), *named(Silent(), "class-has-a-docstring")]
    checks += named(Homeless(), "odd-sizes")
    assert [outcome.status for outcome in run_checks(checks)] == [Status.PASSED, Status.FAILED, Status.UNAVAILABLE]
    (expected,) = run_checks(checks[1:2], {"class-has-a-docstring": "it is silent"})
    assert (expected.status, expected.detail) == (Status.EXPECTED, "it is silent")


def test_an_expected_failure_must_fail():
    (outcome,) = run_checks(named(toy.ToyMedian(), "class-has-a-docstring"), {"class-has-a-docstring": "why"})
    assert outcome.status is Status.FAILED
    assert "take it off the list" in outcome.detail


def test_an_expected_failure_needs_a_reason():
    with pytest.raises(UsageError, match="has no reason"):
        run_checks(checks_for(toy.ToyMedian()), {"class-has-a-docstring": " "})


def test_an_expected_failure_of_no_check_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'odd-sizes'"):
        parametrize_with_checks([toy.ToyPixels], expected_failures={"odd-size": "why"})


def test_marks_of_pytest():
    key = "backbone-toy-pixels-odd-sizes"
    mark = parametrize_with_checks([toy.ToyPixels(cell=4)], expected_failures={key: "why"})
    params = {param.id: param for param in mark.mark.args[1]}
    (xfail,) = params.pop(key).marks
    assert xfail.kwargs == {"reason": "why", "raises": Broken, "strict": True}
    assert all(not param.marks for param in params.values())


def test_options_are_kept():
    (check,) = named(toy.ToyPixels(cell=4), "odd-sizes")
    seen = []
    object.__setattr__(check, "rule", lambda subject: seen.append((subject.fresh().config.cell, subject.original)))
    check()
    assert seen[0][0] == 4
    assert isinstance(seen[0][1], Backbone)


def test_missing_weights_are_a_skip_and_not_a_failure():
    (check,) = named(Homeless(), "weights-are-named")
    with pytest.raises(Unavailable, match="weights=PATH"):
        check()


def test_what_is_not_here_is_looked_for_once(monkeypatch):
    tries = []

    def prepare(self, ctx):
        tries.append(self)
        raise WeightsError("no weights")

    monkeypatch.setattr(Homeless, "prepare", prepare)
    homeless = Homeless()
    outcomes = list(run_checks([*named(homeless, "odd-sizes"), *named(homeless, "weights-are-named")]))
    wanted = [named(homeless, "odd-sizes")[0], named(homeless, "weights-are-named")[0]]
    assert [(outcome.check, outcome.status) for outcome in outcomes] == [(c, Status.UNAVAILABLE) for c in wanted]
    assert len(tries) == 1


def test_the_fixture_comes_with_the_plugin(toy_stream):
    assert len(toy_stream) == 14
    assert [len(part) for part in toy_stream] == [4, 4, 4, 2]


@pytest.mark.slow
def test_metadata_checks_and_the_pytest_plugin_import_no_torch():
    code = (
        "import sys; import adbench.testing.pytest_plugin; from adbench.builtin.toy import ToyNearest;"
        "from adbench.testing import checks_for; [check() for check in checks_for(ToyNearest(), metadata_only=True)];"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
