from __future__ import annotations

from adbench.builtin.executors import Inline
from adbench.executor import Ending, Job
from adbench.testing import parametrize_with_checks

JOBS = [Job("three", "3"), Job("one", "1"), Job("two", "2")]


def test_answers_come_in_order():
    assert list(Inline().run(lambda order: order * 2, JOBS)) == [
        Ending(JOBS[0], "33"),
        Ending(JOBS[1], "11"),
        Ending(JOBS[2], "22"),
    ]


def test_a_job_starts_when_its_ending_is_wanted():
    started = []
    endings = Inline().run(started.append, JOBS)
    assert started == []
    next(endings)
    assert started == ["3"]


@parametrize_with_checks([Inline])
def test_conforms(check):
    check()
