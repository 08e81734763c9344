"""Where units of work run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, TypeVar

from adbench.api.component import Component

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Executor(Component):
    """Runs units of work, here or elsewhere."""

    kind: ClassVar[str] = "executor"

    @abstractmethod
    def run(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """Yield each unit's result as it is ready. `work` handles its own errors: it returns, it does not raise."""
