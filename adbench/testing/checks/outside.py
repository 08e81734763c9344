"""Rules for reports and executors, which no image ever meets."""

from __future__ import annotations

import os
from dataclasses import replace

from adbench.executor import Ending, Executor, Job
from adbench.reports import Report
from adbench.testing.check import Rule, Subject, require
from adbench.testing.errands import repeat, repeat_or_die
from adbench.testing.toy_truth import TABLE


def check_every_cell_is_shown(subject: Subject[Report]) -> None:
    """The text holds every cell of every table and ends with a newline."""
    second = replace(TABLE, title="Another table", rows=(("cable", "0.123"),))
    text = subject.ready().render([TABLE, second])
    cells = [cell for table in (TABLE, second) for row in (table.columns, *table.rows) for cell in row]
    missing = [cell for cell in cells if cell not in text]
    require(not missing, f"Missing: {', '.join(missing)}.")
    require(text.endswith("\n"), "There is no newline at the end.")


def check_empty_table_is_shown(subject: Subject[Report]) -> None:
    """A table without rows is text too."""
    text = subject.ready().render([replace(TABLE, rows=())])
    require(all(column in text for column in TABLE.columns), "The header is missing.")


def check_suffix_is_a_suffix(subject: Subject[Report]) -> None:
    """The suffix begins with a dot, such as '.md'."""
    suffix = subject.original.suffix
    require(suffix.startswith(".") and len(suffix) > 1, f"It is {suffix!r}.")


def check_each_job_ends_once(subject: Subject[Executor]) -> None:
    """Each job ends exactly once, in any order."""
    jobs = [Job(f"job {number}", str(number)) for number in range(5)]
    ended = sorted(ending.job.title for ending in subject.ready().run(repeat, jobs))
    require(ended == [job.title for job in jobs], f"Of 5 jobs these ended: {', '.join(ended)}.")


def check_no_jobs_no_endings(subject: Subject[Executor]) -> None:
    """No jobs have no endings."""
    require(list(subject.ready().run(repeat, [])) == [], "There was one.")


def check_answers_arrive_unchanged(subject: Subject[Executor]) -> None:
    """Orders and answers arrive as they were sent: any text, of any length."""
    job = Job("a long order", 'Ä\n"\0\N{SLIGHTLY SMILING FACE}' * 100_000)
    endings = list(subject.ready().run(repeat, [job]))
    require(endings == [Ending(job, job.order)], "Another answer came back, or none.")


def check_a_death_costs_its_own_job_only(subject: Subject[Executor]) -> None:
    """A job whose process dies ends as lost, with words that say why; the others are answered."""
    if subject.original.here:
        return
    fatal, other = Job("dies", str(os.getpid())), Job("lives", "on")
    ended = {ending.job.title: ending for ending in subject.ready().run(repeat_or_die, [fatal, other])}
    require(ended["dies"].answer is None, "It ran in this very process; set `here = True`.")
    require(bool(ended["dies"].lost) and not ended["dies"].timeout, "The dead one's ending does not say why.")
    require(ended["lives"].answer == "on", f"The other one ended with {ended['lives'].lost!r}.")


RULES: dict[str, tuple[Rule, ...]] = {
    "report": (check_every_cell_is_shown, check_empty_table_is_shown, check_suffix_is_a_suffix),
    "executor": (
        check_each_job_ends_once,
        check_no_jobs_no_endings,
        check_answers_arrive_unchanged,
        check_a_death_costs_its_own_job_only,
    ),
}
