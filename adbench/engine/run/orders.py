"""Orders to workers, the work that they do, and their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.process.error_text import named, words_of
from adbench.engine.process.interrupts import is_stop, raise_if_stopped
from adbench.engine.run.record_builder import UnitOutcome
from adbench.engine.store.record import canonical_json
from adbench.errors import AdbenchError, UsageError, WeightsError

if TYPE_CHECKING:
    from adbench.engine.run.fitting import SaveDetector
    from adbench.engine.run.runner import Runner


@dataclass(frozen=True)
class Refusal:
    """A unit that could not begin, because its weights are missing or its recipe is wrong."""

    unit: str
    reason: str
    weights: bool

    def error(self) -> AdbenchError:
        """The error that a single unit would raise."""
        return WeightsError(self.reason) if self.weights else UsageError(self.reason)


@dataclass
class Callbacks:
    """Functions that are called while units run."""

    begin: Callable[[str], None] = lambda _: None
    watch: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    end: Callable[[UnitOutcome], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    refused: Callable[[Refusal], None] = lambda _: None


@dataclass
class Answer:
    """The answer of a worker to a job."""

    outcomes: list[UnitOutcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The answer as a text for another process."""
        return canonical_json(
            {
                "outcomes": [outcome.to_json() for outcome in self.outcomes],
                "refusals": [vars(refusal) for refusal in self.refusals],
                "notes": self.notes,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """The answer from the text of `to_json`."""
        data = json.loads(text)
        refusals = [Refusal(**refusal) for refusal in data["refusals"]]
        return cls([UnitOutcome.from_json(item) for item in data["outcomes"]], refusals, data["notes"])


def job_order(units: Sequence[Unit], settings: Settings, status_file: Path | None = None) -> str:
    """The order to a worker, as JSON; in `status_file` the worker writes its current unit."""
    about = {"settings": settings.to_json(), "status_file": None if status_file is None else str(status_file)}
    return canonical_json({**about, "units": [unit.to_json() for unit in units]})


def run_order(order: str, save_detector: SaveDetector | None = None) -> str:
    """Run the units of an order: the `Work` of executors elsewhere. Backbone and last bank stay for the next order.

    Args:
        order: as `job_order` makes it.
        save_detector: writes the detector of a unit, where the order's settings ask for it.
    """
    from adbench.registration.registry import installed

    data = json.loads(order)
    answer = Answer()
    try:
        runner = _runner(canonical_json(data["settings"]), save_detector)
        runner.note = answer.notes.append
        runner.status.file = None if data["status_file"] is None else Path(data["status_file"])
        units = [Unit.from_json(unit, installed()) for unit in data["units"]]
    except AdbenchError as error:  # the machine lacks the GPU, a plugin or the dataset
        answer.refusals.append(Refusal("all of a job", words_of(error), isinstance(error, WeightsError)))
        return answer.to_json()
    return run_units(runner, units, Callbacks(), answer).to_json()


@lru_cache(maxsize=1)
def _runner(settings: str, save_detector: SaveDetector | None) -> Runner:
    from adbench.engine.run.runner import Runner
    from adbench.registration.registry import installed

    return Runner(installed(), Settings.from_json(json.loads(settings)), save_detector=save_detector)


def run_units(runner: Runner, units: Sequence[Unit], callbacks: Callbacks, answer: Answer) -> Answer:
    """Run units one after another. Units that other processes run come last; then this process waits for them."""
    busy = []
    with runner.together(len(units)):
        for place, unit in enumerate(units):
            runner.status.place = place
            if not _run_one(runner, unit, callbacks, answer, wait=False):
                busy.append((place, unit))
            if answer.outcomes and answer.outcomes[-1].unsaved is not None:
                return answer  # no later result could be written either
        for place, unit in busy:
            runner.status.place = place
            _run_one(runner, unit, callbacks, answer, wait=True)
    return answer


def _run_one(runner: Runner, unit: Unit, callbacks: Callbacks, answer: Answer, *, wait: bool) -> bool:
    """Run a unit; False if another process runs it and `wait` is False."""
    raise_if_stopped()
    callbacks.begin(unit.title)
    try:
        outcome = runner.run(unit, wait=wait)
    except (UsageError, WeightsError) as error:
        refusal = Refusal(unit.title, words_of(error), isinstance(error, WeightsError))
        answer.refusals.append(refusal)
        callbacks.refused(refusal)
        return True
    except BaseException as error:  # no record exists yet
        if is_stop(error):
            raise
        refusal = Refusal(unit.title, f"a part of its recipe raised {named(error)}", weights=False)
        answer.refusals.append(refusal)
        callbacks.refused(refusal)
        return True
    if outcome is None:
        return False
    answer.outcomes.append(outcome)
    callbacks.end(outcome)
    return True
