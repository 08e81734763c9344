"""A check: a rule of the contracts, applied to one component."""

from __future__ import annotations

import inspect
import tempfile
import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from adbench import AdbenchError, Component, Context, DataError, Dataset, WeightsError
from adbench.engine.process.error_text import named, words_of
from adbench.engine.process.interrupts import is_stop

C = TypeVar("C", bound=Component)


class Broken(AssertionError):
    """A component broke a rule; the message names the rule and the observation."""


class Unavailable(unittest.SkipTest):
    """A check cannot run here, because weights or data are not there. pytest shows it as skipped."""


class Untried(Unavailable):
    """A check says nothing, because the component broke a rule that it builds on; the message says which."""


def require(kept: bool, observation: str) -> None:
    """Raise `Broken` with the observation, unless the rule was kept."""
    if not kept:
        raise Broken(observation)


@dataclass(frozen=True)
class Subject(Generic[C]):
    """The subject of a rule: a component, made again for each use.

    Attributes:
        original: the component as it was given; a rule leaves it alone.
        ctx: surroundings with a scratch folder that disappears with the check.
    """

    original: C
    ctx: Context

    def fresh(self) -> C:
        """The component made again from its options."""
        return type(self.original)(**self.original.config.model_dump())

    def ready(self) -> C:
        """The component made again and prepared.

        Raises:
            Unavailable: its weights or its data are not on this machine.
        """
        component = self.fresh()
        try:
            component.prepare(self.ctx)
            if isinstance(component, Dataset):
                component.categories()
        except (WeightsError, DataError) as error:
            raise Unavailable(str(error)) from None
        return component


Rule = Callable[[Subject[Any]], None]
"""A function that raises `Broken` (through `require`) where the component breaks it; its docstring is the rule."""


_causes: WeakKeyDictionary[Component, dict[Rule, str]] = WeakKeyDictionary()
"""What each component was found to break of the rules that others build on; empty where it keeps one."""


@dataclass(frozen=True)
class Check:
    """One rule for one component; calling it returns None or raises `Broken`, `Unavailable` or `Untried`.

    Attributes:
        component: what is checked.
        rule: the rule.
        after: rules without which this one would only repeat what they say.
    """

    component: Component
    rule: Rule
    after: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        """The rule's slug, such as ``"fit-twice-is-fit-once"``: what expected failures are listed under."""
        return self.rule.__name__.removeprefix("check_").replace("_", "-")

    @property
    def sentence(self) -> str:
        """The rule in words: the first line of the function's docstring."""
        return (inspect.getdoc(self.rule) or self.name).splitlines()[0]

    def __str__(self) -> str:
        return f"{self.component.kind}-{self.component.name}-{self.name}"

    def __call__(self) -> None:
        for rule in self.after:
            if self._cause(rule):
                raise Untried(f"not tried: {self._cause(rule)}")
        self._apply()

    def _cause(self, rule: Rule) -> str:
        """The fault of the component under another rule, found once; empty if it keeps the rule."""
        known = _causes.setdefault(self.component, {})
        if rule not in known:
            known[rule] = ""
            try:
                Check(self.component, rule)()
            except Broken as broken:
                known[rule] = str(broken)
        return known[rule]

    def _apply(self) -> None:
        with tempfile.TemporaryDirectory(prefix="adbench-check-", ignore_cleanup_errors=True) as folder:
            try:
                self.rule(Subject(self.component, Context(seed=0, workdir=Path(folder))))
            except Unavailable:
                raise
            except (Broken, AdbenchError) as error:
                raise Broken(f"{self.component.title}: {self.sentence} {words_of(error)}") from error
            except BaseException as error:
                if is_stop(error):
                    raise
                observation = f"It raised {named(error)}{_place(error, self.component)}"
                raise Broken(f"{self.component.title}: {self.sentence} {observation}") from error


def _place(error: BaseException, component: Component) -> str:
    """The place of an error in the component's own module; empty if it came from elsewhere."""
    own = inspect.getsourcefile(type(component))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({Path(str(own)).name}, line {lines[-1]})" if lines else ""


class Status(str, Enum):
    """The status of a check."""

    PASSED = "pass"
    FAILED = "FAIL"
    EXPECTED = "expected"
    UNAVAILABLE = "not here"
    UNTRIED = "not tried"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: which.
        status: how; ``EXPECTED`` is a failure that was announced with a reason, ``UNTRIED`` a check that would only
            repeat what another one found.
        detail: the failure's message, the reason, what is not here, or what was found before.
    """

    check: Check
    status: Status
    detail: str = ""
