"""Where jobs run: here, in other processes, on other machines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import ClassVar

from adbench.api.component import Component

Work = Callable[[str], str]
"""Does an order and answers. Orders and answers are JSON, so that any cluster can carry them. It writes its results
itself, handles its own errors and returns; only death keeps it from answering. Work for other processes is a function
at module level."""


@dataclass(frozen=True)
class Job:
    """Units of work that belong together: they share features, and run one after another.

    Attributes:
        title: for people.
        order: what `Work` is given.
        limit: seconds after which a job that has not answered is killed, where the executor can; None for no limit.
    """

    title: str
    order: str
    limit: float | None = None


@dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        job: which one.
        answer: what `Work` returned; None where it never answered.
        lost: why it never answered, in words, such as ``"its process was killed (signal 9)"``; empty otherwise.
        timeout: whether it was killed for its limit.
    """

    job: Job
    answer: str | None
    lost: str = ""
    timeout: bool = False


class Executor(Component):
    """Runs jobs, here or elsewhere.

    Attributes:
        here: jobs run in this process, one after another, so that their progress can be shown.
    """

    kind: ClassVar[str] = "executor"
    here: ClassVar[bool] = False

    @abstractmethod
    def run(self, work: Work, jobs: Iterable[Job]) -> Generator[Ending, None, None]:
        """Yield how each job ended, as it ends, in any order. The death of a worker ends its own job, and no other.

        What is under way is stopped when the iterator is closed or interrupted.

        Raises:
            UsageError: there is nothing to run on, such as a cluster that does not answer.
        """
