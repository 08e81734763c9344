"""Where units run: here, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from adbench import Executor

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Inline(Executor):
    """In this process, in order; the next unit is not started before the last result was taken."""

    name = "inline"

    def run(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        return map(work, units)
