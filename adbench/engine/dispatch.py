"""Gives branches of a plan to an executor, and brings the outcomes home, whatever happens to the workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from adbench.api.executor import Ending, Executor, Job, Work
from adbench.engine.draft import Draft, Outcome, Unit
from adbench.engine.plan import Branch
from adbench.engine.protocol import make_task
from adbench.engine.record import ResultRecord, canonical_json, new_run, write_record
from adbench.engine.settings import Settings
from adbench.engine.spec import components_of
from adbench.errors import AdbenchError, DataError, StorageError, UsageError, WeightsError
from adbench.registry import Registry

if TYPE_CHECKING:
    from adbench.engine.pipeline import Runner

PATIENCE = 60.0
"""Seconds beyond its units' timeouts after which a job is killed: it starts a process and loads a backbone."""


@dataclass(frozen=True)
class Refusal:
    """A unit that could not even begin: its weights are missing, or its recipe cannot be meant as written."""

    unit: str
    reason: str
    weights: bool

    def error(self) -> AdbenchError:
        """As an error."""
        return WeightsError(self.reason) if self.weights else UsageError(self.reason)


@dataclass
class Hearing:
    """Who is told what, while units run."""

    begin: Callable[[str], None] = lambda _: None
    watch: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    end: Callable[[Outcome], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    refused: Callable[[Refusal], None] = lambda _: None


@dataclass
class Answer:
    """What a worker has to say of a job."""

    outcomes: list[Outcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """For the process that asked."""
        return canonical_json(
            {
                "outcomes": [outcome.to_json() for outcome in self.outcomes],
                "refusals": [vars(refusal) for refusal in self.refusals],
                "notes": self.notes,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """What `to_json` gave."""
        data = json.loads(text)
        refusals = [Refusal(**refusal) for refusal in data["refusals"]]
        return cls([Outcome.from_json(item) for item in data["outcomes"]], refusals, data["notes"])


def order_of(units: Sequence[Unit], settings: Settings) -> str:
    """What a worker needs to know, as JSON."""
    return canonical_json({"settings": settings.to_json(), "units": [unit.to_json() for unit in units]})


def fulfil(order: str) -> str:
    """Run the units of an order: the `Work` of executors elsewhere. Backbone and last bank stay for the next order."""
    from adbench.registry import installed

    data = json.loads(order)
    answer = Answer()
    try:
        runner = _runner(canonical_json(data["settings"]))
        runner.note = answer.notes.append
        units = [Unit.from_json(unit, installed()) for unit in data["units"]]
    except AdbenchError as error:  # another machine: no such GPU, plugin or dataset there
        answer.refusals.append(Refusal("all of a job", str(error), isinstance(error, WeightsError)))
        return answer.to_json()
    return run_units(runner, units, Hearing(), answer).to_json()


@lru_cache(maxsize=1)
def _runner(settings: str) -> Runner:
    from adbench.engine.pipeline import Runner
    from adbench.registry import installed

    return Runner(installed(), Settings.from_json(json.loads(settings)))


def run_units(runner: Runner, units: Sequence[Unit], hearing: Hearing, answer: Answer) -> Answer:
    """Run units one after another. Those at which another process is at work come last, and are waited for then."""
    busy = []
    with runner.together(len(units)):
        for unit in units:
            if not _run_one(runner, unit, hearing, answer, wait=False):
                busy.append(unit)
            if answer.outcomes and answer.outcomes[-1].unsaved is not None:
                return answer  # the next could not be written either
        for unit in busy:
            _run_one(runner, unit, hearing, answer, wait=True)
    return answer


def _run_one(runner: Runner, unit: Unit, hearing: Hearing, answer: Answer, *, wait: bool) -> bool:
    """Run a unit; False if another process is at it and is not to be waited for."""
    hearing.begin(unit.title)
    try:
        outcome = runner.run(unit, wait=wait)
    except (UsageError, WeightsError) as error:
        refusal = Refusal(unit.title, str(error), isinstance(error, WeightsError))
        answer.refusals.append(refusal)
        hearing.refused(refusal)
        return True
    if outcome is None:
        return False
    answer.outcomes.append(outcome)
    hearing.end(outcome)
    return True


@dataclass
class Dispatcher:
    """Runs a plan's branches on an executor.

    Attributes:
        outcomes: of the units that have ended so far.
        refusals: of units that could not begin.
    """

    registry: Registry
    settings: Settings
    executor: Executor
    hearing: Hearing
    outcomes: list[Outcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    _before: dict[str, ResultRecord | None] = field(default_factory=dict)

    def run(self, branches: Sequence[Branch]) -> None:
        """Run all units that have not ended before, until all have or results cannot be written any more."""
        todo: list[Sequence[Unit]] = [
            left for branch in branches if (left := [unit for unit in branch.units if not self._settled(unit)])
        ]
        while todo:
            todo = self._round(todo)

    def _settled(self, unit: Unit) -> bool:
        """Whether a unit has ended, here or elsewhere, and is not to be run again; finds out without loading torch."""
        draft = self._draft(unit)
        record = draft.record()
        old = record == self._before.setdefault(draft.id, record)
        if record is None or (old and self.settings.again(record.status)):
            return False
        self.hearing.begin(unit.title)
        self._ended(Outcome(record, draft.folder, fresh=False))
        return True

    def _draft(self, unit: Unit) -> Draft:
        components = components_of(unit.recipe, self.registry)
        draft = Draft(unit, components, self.registry, self.settings.out, "cpu")
        with suppress(DataError):  # the unit itself will fail of it, with a record
            draft.task = make_task(
                unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=self.settings.skip_bad
            )
        return draft

    def _round(self, todo: Sequence[Sequence[Unit]]) -> list[Sequence[Unit]]:
        """Run each group of units as a job; returns what is left of those jobs whose worker died."""
        jobs = {self._job(units): units for units in todo}
        left = []
        endings = self.executor.run(self._here(jobs) if self.executor.here else fulfil, list(jobs))
        with closing(endings):  # whatever happens here, no worker outlives it
            for ending in endings:
                if ending.answer is None:
                    rest = self._bury(ending, jobs[ending.job])
                    left += [rest] if rest else []
                elif not self.executor.here:
                    self._hear(Answer.from_json(ending.answer))
                if any(outcome.unsaved is not None for outcome in self.outcomes):
                    return []
        return left

    def _job(self, units: Sequence[Unit]) -> Job:
        timeout = self.settings.timeout
        limit = None if timeout is None else PATIENCE + timeout * len(units)
        return Job(Branch(tuple(units)).title, order_of(units, self.settings), limit)

    def _here(self, jobs: Mapping[Job, Sequence[Unit]]) -> Work:
        """Work for this process, whose progress is heard as it is made."""
        from adbench.engine.pipeline import Runner

        runner = Runner(self.registry, self.settings, self.hearing.watch, self.hearing.note)
        hearing = Hearing(begin=self.hearing.begin, end=self._ended, refused=self._refused)
        orders = {job.order: units for job, units in jobs.items()}
        return lambda order: run_units(runner, orders[order], hearing, Answer()).to_json()

    def _hear(self, answer: Answer) -> None:
        for note in answer.notes:
            self.hearing.note(note)
        for outcome in answer.outcomes:
            self.hearing.begin(outcome.title)
            self._ended(outcome)
        for refusal in answer.refusals:
            self._refused(refusal)

    def _ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.hearing.end(outcome)

    def _refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        self.hearing.refused(refusal)

    def _bury(self, ending: Ending, units: Sequence[Unit]) -> Sequence[Unit]:
        """A worker died: what it finished counts, the unit at which it died has failed; returns those behind it."""
        for index, unit in enumerate(units):
            if self._settled(unit):
                continue
            self.hearing.begin(unit.title)
            self._ended(self._lost(unit, ending))
            return units[index + 1 :]
        return ()

    def _lost(self, unit: Unit, ending: Ending) -> Outcome:
        """The record of a unit that took its worker with it."""
        draft = self._draft(unit)
        record = draft.failed("timeout" if ending.timeout else "failed", f"never answered: {ending.lost}")
        if draft.has_result():
            return Outcome(record, draft.folder)
        try:
            with new_run(self.settings.out, draft.folder.name) as folder:
                write_record(folder, record)
        except StorageError as error:
            return Outcome(record, draft.folder, unsaved=error)
        return Outcome(record, draft.folder)
