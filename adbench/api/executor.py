"""Executors: jobs in this process, in other processes, or on other machines."""

from __future__ import annotations

import os
import sys
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
    """The ending of a job.

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


MOST_CHARACTERS = 1000
"""Of an error's text, in the reason why a job has no answer."""


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def use_threads(count: int) -> None:
    """Let a worker compute with so many threads, whatever the environment of the run names.

    Libraries read their environment when they are imported; torch, where it is there already, is told.
    """
    os.environ.update(dict.fromkeys(_THREADS, str(count)))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def answer_or_reason(work: Work, order: str) -> tuple[str | None, str]:
    """Do an order in a worker: the answer, or else the reason why there is none, for `Ending.lost`.

    An exception comes back in words, since not every exception survives the way between processes.
    """
    try:
        return work(order), ""
    except BaseException as error:  # noqa: BLE001 - it may be anything, also a module that cannot be imported
        return None, f"it raised {type(error).__name__}: {_text_of(error)}".strip()


def _text_of(error: BaseException) -> str:
    """The text of an error, cut off where it is long, and empty where the error fails to make one."""
    try:
        return str(error)[:MOST_CHARACTERS]
    except BaseException:  # noqa: BLE001
        return ""
