"""Gives branches of a plan to an executor, and collects the outcomes, even of workers that die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from adbench.api.executor import Ending, Executor, Job, Work
from adbench.engine.plan.plan import Branch
from adbench.engine.plan.protocol import make_task
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import GRACE
from adbench.engine.process.interrupts import is_stop, stoppable
from adbench.engine.process.location import is_here
from adbench.engine.process.lock import delete_dead_locks
from adbench.engine.process.scratch import Scratch
from adbench.engine.process.worker_status import LastStatus, WorkerStatus
from adbench.engine.run.orders import Answer, Callbacks, Refusal, job_order, run_order, run_units
from adbench.engine.run.record_builder import RecordBuilder, UnitOutcome
from adbench.engine.store.new_run import new_run
from adbench.engine.store.record import ResultRecord, write_record
from adbench.errors import StorageError
from adbench.registration.registry import Registry

if TYPE_CHECKING:
    from adbench.engine.run.fitting import SaveDetector

PATIENCE = 60.0
"""Seconds beyond its units' timeouts after which a job is killed: it starts a process and loads a backbone."""
STARTS = 2
"""How often a job starts at most, if its workers die before any unit begins; then its first open unit fails."""


@dataclass
class Dispatcher:
    """Runs a plan's branches on an executor.

    Attributes:
        work: runs an order elsewhere; a function at module level, which other processes find by its name.
        save_detector: writes the detector of a unit that runs here, where the settings ask for it.
        outcomes: of the units that have ended so far.
        refusals: of units that could not begin.
    """

    registry: Registry
    settings: Settings
    executor: Executor
    callbacks: Callbacks
    work: Work = run_order
    save_detector: SaveDetector | None = None
    outcomes: list[UnitOutcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    _before: dict[str, ResultRecord | None] = field(default_factory=dict)
    _starts: Counter[int] = field(default_factory=Counter)

    def run(self, branches: Sequence[Branch]) -> None:
        """Run all units that have not ended before. It stops early if results cannot be written any more.

        Raises:
            Stopped: the user stops it, by Ctrl-C, SIGTERM or SIGHUP.
        """
        with stoppable(), _status_folder(self.settings.out, self.executor) as folder:
            self._run(branches, folder)

    def _run(self, branches: Sequence[Branch], folder: Path | None) -> None:
        todo: list[Sequence[Unit]] = [
            left for branch in branches if (left := [unit for unit in branch.units if not self._settled(unit)])
        ]
        while todo:
            todo = self._round(todo, folder)

    def _settled(self, unit: Unit) -> bool:
        """Whether a unit has ended, here or elsewhere, and is not to be run again. This loads no torch."""
        builder = self._builder(unit)
        record = builder.record()
        old = record == self._before.setdefault(builder.id, record)
        if record is None or (old and self.settings.reruns(record.status)):
            return False
        self.callbacks.begin(unit.title)
        self._ended(UnitOutcome.ended_before(record, builder.folder, save=self.settings.save))
        return True

    def _builder(self, unit: Unit) -> RecordBuilder:
        components = components_of(unit.recipe, self.registry)
        builder = RecordBuilder(unit, components, self.registry, self.settings.out, "cpu")
        try:
            builder.task = make_task(
                unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=self.settings.skip_bad
            )
        except BaseException as error:  # the unit will fail with this error, and its record will hold it
            if is_stop(error):
                raise
        return builder

    def _round(self, todo: Sequence[Sequence[Unit]], folder: Path | None) -> list[Sequence[Unit]]:
        """Run each group of units as a job; returns what is left of those jobs whose worker died."""
        files = [None if folder is None else folder / uuid4().hex for _ in todo]
        jobs = {self._job(units, file): _GivenJob(units, file) for units, file in zip(todo, files, strict=True)}
        left = []
        with ExitStack() as stack:
            work = stack.enter_context(self._work_here(jobs)) if self.executor.here else self.work
            endings = stack.enter_context(closing(self.executor.run(work, list(jobs))))  # ends all workers
            for ending in endings:
                given = jobs[ending.job]
                if ending.answer is None:
                    rest = self._record_worker_death(ending, given)
                    left += [rest] if rest else []
                elif not self.executor.here:
                    self._take_over(Answer.from_json(ending.answer))
                WorkerStatus.clear(given.status_file)
                if any(outcome.unsaved is not None for outcome in self.outcomes):
                    return []
        return left

    def _job(self, units: Sequence[Unit], status_file: Path | None = None) -> Job:
        timeout = self.settings.timeout
        limit = None if timeout is None else PATIENCE + (timeout + GRACE) * len(units)
        return Job(Branch(tuple(units)).title, job_order(units, self.settings, status_file), limit)

    @contextmanager
    def _work_here(self, jobs: Mapping[Job, _GivenJob]) -> Iterator[Work]:
        """Work for this process, which reports its progress while it runs."""
        from adbench.engine.run.runner import Runner

        given = self.callbacks
        runner = Runner(self.registry, self.settings, given.watch, given.note, save_detector=self.save_detector)
        callbacks = Callbacks(begin=given.begin, end=self._ended, refused=self._refused)
        orders = {job.order: given.units for job, given in jobs.items()}
        try:
            yield lambda order: run_units(runner, orders[order], callbacks, Answer()).to_json()
        finally:
            runner.close()

    def _take_over(self, answer: Answer) -> None:
        for note in answer.notes:
            self.callbacks.note(note)
        for outcome in answer.outcomes:
            self.callbacks.begin(outcome.title)
            self._ended(outcome)
        for refusal in answer.refusals:
            self._refused(refusal)

    def _ended(self, outcome: UnitOutcome) -> None:
        self.outcomes.append(outcome)
        self.callbacks.end(outcome)

    def _refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        self.callbacks.refused(refusal)

    def _record_worker_death(self, ending: Ending, given: _GivenJob) -> Sequence[Unit]:
        """Record that a worker died. The unit that it ran has failed; returns the units that are still to run.

        A worker that was between two units, or waited for another process, loses no unit. Its status file shows
        where it was. A job whose worker dies without a status is started once more; after that, each such death
        fails the first unit that has not ended.
        """
        status = WorkerStatus.read(given.status_file)
        delete_dead_locks(self.settings.out)
        left = [unit for unit in given.units if not self._settled(unit)]
        at = None if status is None or status.unit is None else given.units[status.unit]
        if any(unit is at for unit in left):
            return self._lose([unit for unit in left if unit is at], ending, status, left)
        if len(left) < len(given.units) or (status is not None and status.waits):
            return left
        self._starts[id(left[-1])] += 1
        return left if self._starts[id(left[-1])] < STARTS else self._lose(left[:1], ending, status, left)

    def _lose(
        self, lost: Sequence[Unit], ending: Ending, status: LastStatus | None, left: Sequence[Unit]
    ) -> Sequence[Unit]:
        """Record that units were lost; returns the others."""
        for unit in lost:
            self.callbacks.begin(unit.title)
            self._ended(self._lost(unit, ending, status))
        return [unit for unit in left if not any(unit is other for other in lost)]

    def _lost(self, unit: Unit, ending: Ending, status: LastStatus | None) -> UnitOutcome:
        """The outcome of a unit whose worker died."""
        builder = self._builder(unit)
        late = status is not None and status.late
        after = f"stopped after {self.settings.timeout or 0:g} s (--timeout)"
        words = f"{after}, with its process, as it did not stop by itself"
        reason = words if late else f"never answered: {ending.lost}"
        record = builder.failed("timeout" if late or ending.timeout else "failed", reason)
        if builder.has_result():
            return UnitOutcome(record, builder.folder)
        try:
            with new_run(self.settings.out, builder.folder.name) as folder:
                if status is not None and status.stack:
                    (folder / "traceback.txt").write_text(status.stack, encoding="utf-8", errors="backslashreplace")
                write_record(folder, record)
        except StorageError as error:
            return UnitOutcome(record, builder.folder, unsaved=error)
        return UnitOutcome(record, builder.folder)


class _GivenJob(NamedTuple):
    """The units of a job, and the file in which its worker writes the current unit."""

    units: Sequence[Unit]
    status_file: Path | None


@contextmanager
def _status_folder(out: Path, executor: Executor) -> Iterator[Path | None]:
    """A folder for the status files of workers: among the runs, where all workers can write."""
    if executor.here:
        yield None
        return
    with suppress(OSError):
        out.mkdir(parents=True, exist_ok=True) if is_here(out) else None
    with Scratch(".posts-", out) if is_here(out) and out.is_dir() else Scratch() as folder:
        yield folder
