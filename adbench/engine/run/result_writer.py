"""Writes the record of a unit, and the files beside it, into the folder of runs, and calls the plugins' hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from adbench.engine.features.contract import is_out_of_memory
from adbench.engine.plan.data_origin import write_origin
from adbench.engine.plan.settings import Settings
from adbench.engine.process.error_text import MOST_OF_A_REASON, bounded, named, text_of, trace_of, words_of
from adbench.engine.process.location import is_here
from adbench.engine.run.fitting import SaveDetector, UnitFit
from adbench.engine.run.record_builder import DETECTOR_FILE, RecordBuilder, UnitOutcome
from adbench.engine.run.result import Result
from adbench.engine.store.new_run import new_run
from adbench.engine.store.record import ResultRecord, Status, write_record
from adbench.errors import AdbenchError, BadImage, StorageError, UnitTimeout
from adbench.registration.registry import Registry

_LEAVE_OUT = ", or leave such files out with --skip-bad"
_LESS_MEMORY = "use a smaller --batch-size, smaller images, or a bank that keeps less"


class Failure(NamedTuple):
    """How a unit failed. `trace` is the traceback of what a component raised, empty for a user's mistake."""

    status: Status
    reason: str
    trace: str = ""


def failure_of(error: BaseException, device: str) -> Failure:
    """The failure that a record tells of, from the error that ended its unit.

    What is no `AdbenchError` has slipped past those who hold components to their contracts, and is no component's for
    certain; it costs its unit all the same, and no other.
    """
    if isinstance(error, AdbenchError):
        status: Status = "timeout" if isinstance(error, UnitTimeout) else "failed"
        text = text_of(error) + (_LEAVE_OUT if isinstance(error, BadImage) else "")
        return Failure(status, bounded(text, MOST_OF_A_REASON), trace_of(error.__cause__))
    if is_out_of_memory(error):
        text = bounded(text_of(error).strip().partition("\n")[0], 200) or "no details"
        return Failure("out-of-memory", f"out of memory on {device} ({text}); {_LESS_MEMORY}")
    return Failure(
        "failed",
        f"adbench raised {named(error)}; a component brought it there, or adbench is wrong: traceback.txt tells where",
        trace_of(error),
    )


@dataclass(frozen=True)
class ResultWriter:
    """Writes what comes of units.

    Attributes:
        writing: called before a result is written, which takes a while.
        save_detector: writes the detector of a unit; None if no detector can be asked for.
    """

    registry: Registry
    settings: Settings
    writing: Callable[[], None] = lambda: None
    save_detector: SaveDetector | None = None

    def failed(self, builder: RecordBuilder, error: BaseException) -> UnitOutcome:
        """The outcome of a unit that this ended; a failure, of ``redo``, never takes the place of a result."""
        failure = failure_of(error, self.settings.device)
        record = builder.failed(failure.status, failure.reason)
        if builder.has_result():
            return UnitOutcome(record, builder.folder, notes=self._notify_plugins(record, None))
        return self.save(builder, record, trace=failure.trace)

    def save(
        self,
        builder: RecordBuilder,
        record: ResultRecord,
        result: Result | None = None,
        trace: str = "",
        fit: UnitFit | None = None,
    ) -> UnitOutcome:
        """Write a record and what belongs to it; a result that cannot be written is still handed back.

        Args:
            builder: of the record.
            record: of the unit.
            result: of a unit that ended well.
            trace: the traceback of a unit that failed.
            fit: what the unit's detector is made of, if it is to be kept.
        """
        unsaved, no_detector = None, ""
        try:
            with new_run(self.settings.out, builder.folder.name) as folder:
                if result is not None:
                    self.writing()
                    record = result.write(folder, record, self.registry.metrics(), figures=self.settings.figures)
                    if is_here(self.settings.out):
                        write_origin(folder, builder.unit.dataset)
                no_detector = "" if fit is None else self._write_detector(fit, record, folder)
                if trace:
                    (folder / "traceback.txt").write_text(trace, encoding="utf-8", errors="backslashreplace")
                write_record(folder, record)
        except StorageError as error:
            unsaved = error
        threshold, notes = (None, ()) if result is None else (result.threshold, result.notes())
        return UnitOutcome(
            record,
            builder.folder,
            threshold=threshold,
            unsaved=unsaved,
            notes=(*notes, *self._notify_plugins(record, builder.folder if unsaved is None else None)),
            no_detector=no_detector,
        )

    def _write_detector(self, fit: UnitFit, record: ResultRecord, folder: Path) -> str:
        """Write the detector; returns why that cannot be done. It must not cost the result."""
        if self.save_detector is None:
            return "whoever started this run cannot write detectors"
        try:
            self.save_detector(fit, record, folder / DETECTOR_FILE)
        except AdbenchError as error:
            return words_of(error)
        except Exception as error:  # noqa: BLE001  a component's error, or an error of adbench
            return f"it could not be written ({named(error)})"
        return ""

    def _notify_plugins(self, record: ResultRecord, folder: Path | None) -> tuple[str, ...]:
        """Call the plugins' hook `job_finished`; an error of theirs becomes a note and never loses a result."""
        problems = self.registry.call_each("job_finished", record=record.to_json(), folder=folder)
        return tuple(bounded(f"plugin {problem.dist!r}: {problem.reason}") for problem in problems)
