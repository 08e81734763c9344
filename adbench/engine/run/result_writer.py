"""Where units end: their record and what belongs to it, written into the folder of runs, and told to trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from adbench.api.metric import Metric
from adbench.engine.plan.data_origin import write_origin
from adbench.engine.plan.settings import Settings
from adbench.engine.process.error_text import bounded
from adbench.engine.process.location import is_here
from adbench.engine.run.failure import failure_of
from adbench.engine.run.record_builder import RecordBuilder, UnitOutcome
from adbench.engine.run.result import Result
from adbench.engine.store.record import ResultRecord, new_run, write_record
from adbench.errors import StorageError
from adbench.registration.registry import Registry


@dataclass(frozen=True)
class ResultWriter:
    """Writes what comes of units.

    Attributes:
        writing: called before a result is written, which takes a while.
    """

    registry: Registry
    settings: Settings
    writing: Callable[[], None] = lambda: None

    def metrics(self) -> list[Metric]:
        """All that are installed."""
        return [cast("Metric", metric) for metric in self.registry.made("metric")]

    def failed(self, builder: RecordBuilder, error: BaseException) -> UnitOutcome:
        """The outcome of a unit that this ended; a failure, of ``redo``, never takes the place of a result."""
        failure = failure_of(error, self.settings.device)
        record = builder.failed(failure.status, failure.reason)
        if builder.has_result():
            return UnitOutcome(record, builder.folder, notes=self._notify_plugins(record))
        return self.save(builder, record, trace=failure.trace)

    def save(
        self, builder: RecordBuilder, record: ResultRecord, result: Result | None = None, trace: str = ""
    ) -> UnitOutcome:
        """Write a record and what belongs to it; a result that cannot be written is still handed back."""
        unsaved = None
        try:
            with new_run(self.settings.out, builder.folder.name) as folder:
                if result is not None:
                    self.writing()
                    record = result.write(folder, record, self.metrics(), figures=self.settings.figures)
                    if is_here(self.settings.out):
                        write_origin(folder, builder.unit.dataset)
                if trace:
                    (folder / "traceback.txt").write_text(trace, encoding="utf-8", errors="backslashreplace")
                write_record(folder, record)
        except StorageError as error:
            unsaved = error
        threshold, notes = (None, ()) if result is None else (result.threshold, result.notes())
        notes = (*notes, *self._notify_plugins(record))
        return UnitOutcome(record, builder.folder, threshold=threshold, unsaved=unsaved, notes=notes)

    def _notify_plugins(self, record: ResultRecord) -> tuple[str, ...]:
        """Call the plugins' hook `job_finished`; an error of theirs becomes a note and never loses a result."""
        problems = self.registry.call_each("job_finished", record=record.to_json())
        return tuple(bounded(f"plugin {problem.dist!r}: {problem.reason}") for problem in problems)
