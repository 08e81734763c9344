"""The executor `inline`: jobs in this process, one after another."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from adbench.executor import Ending, Executor, Job, Work


class Inline(Executor):
    """In this process, in order; the next job is not started before the last one's ending was taken.

    A component shares the process with everything else here: one that ends it, or hangs and heeds no alarm, ends the
    command or holds it up. Executor `process` gives each job a process of its own.
    """

    name = "inline"
    here = True

    def run(self, work: Work, jobs: Iterable[Job]) -> Generator[Ending, None, None]:
        return (Ending(job, work(job.order)) for job in jobs)
