"""The checks of a component, and the two ways to run them: with pytest and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from adbench import Component, UnknownName, UsageError
from adbench.registration.faults import made
from adbench.testing.check import Broken, Check, CheckResult, Rule, Status, Unavailable, Untried

if TYPE_CHECKING:
    import pytest

_MODULES = {
    "backbone": "backbone",
    "bank": "bank",
    "scorer": "scorer",
    "augmenter": "stages",
    "preprocessor": "stages",
    "neck": "stages",
    "masker": "stages",
    "tuner": "tuner",
    "aggregator": "aggregator",
    "metric": "metric",
    "dataset": "dataset",
    "report": "outside",
    "executor": "outside",
}


def checks_for(component: Component, *, metadata_only: bool = False) -> list[Check]:
    """Every check that applies to a component, the light ones first.

    Args:
        component: made with the options that it is to be checked with; it is never used itself, only made again.
        metadata_only: only the checks that look at class and options; they do not import torch.
    """
    return list(_checks(component, metadata_only=metadata_only))


def _checks(component: Component, *, metadata_only: bool) -> Iterator[Check]:
    """The checks, each after those that it depends on."""
    light = import_module("adbench.testing.checks.metadata")
    for rule in light.RULES:
        yield Check(component, rule, () if rule in light.FIRST else light.FIRST)
    if not metadata_only and component.kind in _MODULES:
        first = import_module("adbench.testing.checks.answers").RULES
        for rule in _rules(component.kind, metadata_only=False)[len(light.RULES) :]:
            yield Check(component, rule, light.FIRST if rule in first else (*light.FIRST, *first))


def _rules(kind: str, *, metadata_only: bool) -> list[Rule]:
    rules: list[Rule] = [*import_module("adbench.testing.checks.metadata").RULES]
    if not metadata_only and kind in _MODULES:
        rules += import_module("adbench.testing.checks.answers").RULES
        rules += import_module("adbench.testing.checks.all").RULES
        rules += import_module("adbench.testing.checks.blind").RULES.get(kind, ())
        rules += import_module("adbench.testing.checks.state").RULES.get(kind, ())
        rules += import_module(f"adbench.testing.checks.{_MODULES[kind]}").RULES[kind]
    return rules


def parametrize_with_checks(
    components: Sequence[Component | type[Component]], expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """A pytest decorator that calls a test once with each check of each component, as its argument ``check``.

    Args:
        components: instances, or classes to be made without options.
        expected_failures: reasons by check. A key is a check's name, such as ``"odd-sizes"``, or a check's id, such as
            ``"backbone-onnx-odd-sizes"``. The check must fail, or the test does.

    Raises:
        UnknownName: a key that fits no check.
        UsageError: a reason is empty.
    """
    import pytest

    checks = [check for component in components for check in checks_for(_made(component))]
    reason_of = _reasons(checks, expected_failures or {})
    params = []
    for check in checks:
        reason = reason_of(check)
        marks = [pytest.mark.xfail(reason=reason, raises=Broken, strict=True)] if reason else []
        params.append(pytest.param(check, id=str(check), marks=marks))
    return pytest.mark.parametrize("check", params)


def run_checks(checks: Iterable[Check], expected_failures: Mapping[str, str] | None = None) -> Iterator[CheckResult]:
    """Run checks without pytest, yielding each outcome as it is known.

    Args:
        checks: from `checks_for`.
        expected_failures: as for `parametrize_with_checks`.

    Raises:
        UnknownName, UsageError: as `parametrize_with_checks` does.
    """
    checks = list(checks)
    reason_of = _reasons(checks, expected_failures or {})
    return _outcomes(checks, reason_of)


def _made(component: Component | type[Component]) -> Component:
    """A component.

    Raises:
        PluginError: its class cannot be made, and why.
    """
    return component if isinstance(component, Component) else made(component)


def _reasons(checks: Sequence[Check], expected: Mapping[str, str]) -> Callable[[Check], str]:
    """A function from a check to the reason why it is expected to fail, or to an empty text."""
    for key, reason in expected.items():
        if not reason.strip():
            raise UsageError(f"expected failure {key!r} has no reason; say why it is expected")
        if all(key not in (check.name, str(check)) for check in checks):
            raise UnknownName("check", key, {check.name for check in checks})
    return lambda check: expected.get(str(check), expected.get(check.name, ""))


def _outcomes(checks: Sequence[Check], reason_of: Callable[[Check], str]) -> Iterator[CheckResult]:
    """Outcomes in order. What is not here is looked for once a component: a download may take its time to fail."""
    missing: dict[int, str] = {}
    for check in checks:
        if id(check.component) in missing:
            yield CheckResult(check, Status.UNAVAILABLE, missing[id(check.component)])
            continue
        outcome = _outcome(check, reason_of(check))
        if outcome.status is Status.UNAVAILABLE:
            missing[id(check.component)] = outcome.detail
        yield outcome


def _outcome(check: Check, reason: str) -> CheckResult:
    try:
        check()
    except Untried as before:
        return CheckResult(check, Status.UNTRIED, str(before))
    except Unavailable as missing:
        return CheckResult(check, Status.UNAVAILABLE, str(missing))
    except Broken as broken:
        return CheckResult(check, Status.EXPECTED, reason) if reason else CheckResult(check, Status.FAILED, str(broken))
    if reason:
        return CheckResult(
            check, Status.FAILED, f"it passed, but was expected to fail ({reason}); take it off the list"
        )
    return CheckResult(check, Status.PASSED)
