"""Methods run on datasets, from Python: what ``adbench run`` does, and its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adbench.api.dataset import Dataset
from adbench.api.executor import Executor
from adbench.api.untrusted import read_yaml
from adbench.detector.detector import Detector
from adbench.detector.recipes import recipe_of
from adbench.detector.saving import dispatcher_of
from adbench.detector.settings import USUAL, settings_of
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.plan.plan import Assignment, Plan, make_plan
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Part, Recipe
from adbench.engine.plan.suite import assignments_of, read_suite, recipes_of
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.location import place
from adbench.engine.run.orders import Callbacks
from adbench.engine.run.record_builder import UnitOutcome
from adbench.engine.store.record import ResultRecord
from adbench.errors import UsageError
from adbench.registration.registry import Registry, installed

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Results(Sequence[ResultRecord]):
    """Records of finished units, in the order in which they ended.

    Attributes:
        outcomes: how each unit ended, and its folder.
        refused: why units could not begin, a sentence each.
    """

    outcomes: Sequence[UnitOutcome]
    refused: Sequence[str] = ()

    @property
    def records(self) -> list[ResultRecord]:
        """All records, those of failed units included."""
        return [outcome.record for outcome in self.outcomes]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    def __iter__(self) -> Iterator[ResultRecord]:
        return iter(self.records)

    def detector(self, which: int = 0, **options: Any) -> Detector:
        """The detector of a unit of a run with ``save=True``.

        Args:
            which: the place of its record in the results.
            options: as of `Detector.load`.

        Raises:
            UsageError: the unit has no detector; the message says why.
            IndexError: there is no such unit.
        """
        outcome = self.outcomes[which]
        if outcome.detector is None:
            raise UsageError(f"{outcome.title} has no detector: {_why_not(outcome)}")
        return Detector.load(outcome.detector, **options)

    def detectors(self, **options: Any) -> Iterator[Detector]:
        """The detectors of all units that have one, in the order of the records.

        Args:
            options: as of `Detector.load`.
        """
        return (Detector.load(one.detector, **options) for one in self.outcomes if one.detector is not None)

    def to_frame(self) -> DataFrame:
        """The records as one tidy pandas `DataFrame`, as `adbench.records.to_frame` makes it."""
        from adbench.records import to_frame

        return to_frame(self.records)


def _why_not(outcome: UnitOutcome) -> str:
    """Why a unit has no detector."""
    if not outcome.well:
        return outcome.record.reason or str(outcome.unsaved)
    return outcome.no_detector or "run with save=True, and with redo=True if it has ended before"


def run(  # noqa: PLR0913  keyword options of the public door
    recipe: str | Path | Recipe | None = None,
    *,
    data: str | Path | Dataset = "mvtec-ad",
    category: str | Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    protocol: Protocol | None = None,
    out: str | Path = "runs",
    threshold: str | None = "conformal",
    executor: str = "inline",
    figures: bool = True,
    save: bool = False,
    redo: bool = False,
    device: str = "auto",
    runtime: str = "auto",
    batch_size: int = 8,
    workers: int = 2,
    cache: str | Path | None = USUAL,
    callbacks: Callbacks | None = None,
    **parts: Any,
) -> Results:
    """Run a method on every category of a dataset, or a suite; a unit that has a result is not run again.

    Args:
        recipe: a recipe's name or file, or a suite's file, which says itself on what it runs; None for a method that is
            made of `parts`.
        data: a dataset's name, or a folder in MVTec AD's layout.
        category: one or several; all where none is named.
        seeds: decide everything random.
        protocol: shots, limits and the evaluation grid; None for the usual one.
        out: the folder of runs.
        threshold: the rule for thresholds; None for none.
        executor: where units run, such as ``"process:workers=2"``.
        figures: whether pictures are drawn.
        save: keep the fitted detector of each unit beside its record, for `Results.detector`.
        redo: run finished units again.
        device: as of `Detector`.
        runtime: as of `Detector`.
        batch_size: as of `Detector`.
        workers: as of `Detector`.
        cache: as of `Detector`.
        callbacks: called with the progress of the work.
        parts: by slot, as of `Detector`.

    Returns:
        The records. A unit that failed has one, too: its status says so.

    Raises:
        UsageError: nothing can run as it is written.
        DataError: a dataset is not there.
    """
    registry = installed()
    rule = None if threshold is None else Rule.parse(threshold)
    settings = replace(
        settings_of(device, runtime, batch_size, workers, cache),
        out=place(str(out)),
        threshold=rule,
        figures=figures,
        save=save,
        redo=redo,
    )
    plan = _plan(registry, recipe, parts, data, category, seeds, protocol)
    plan.require_units()
    made = cast("Executor", Part.parse(executor).make("executor", registry))
    dispatcher = dispatcher_of(registry, settings, made, callbacks or Callbacks())
    dispatcher.run(plan.branches)
    return Results(tuple(dispatcher.outcomes), tuple(f"{one.unit}: {one.reason}" for one in dispatcher.refusals))


def _plan(
    registry: Registry,
    recipe: str | Path | Recipe | None,
    parts: Mapping[str, Any],
    data: str | Path | Dataset,
    category: str | Sequence[str],
    seeds: Sequence[int],
    protocol: Protocol | None,
) -> Plan:
    if not isinstance(recipe, Recipe) and recipe is not None and is_suite(Path(recipe)):
        return _plan_of_suite(registry, Path(recipe), parts)
    dataset = data if isinstance(data, Dataset) else dataset_from(registry, str(data))
    categories = (category,) if isinstance(category, str) else tuple(category)
    assignment = Assignment(dataset, protocol or Protocol(), categories, tuple(seeds))
    return make_plan([recipe_of(registry, recipe, parts)], [assignment], registry)


def is_suite(path: Path) -> bool:
    """Whether a file is a suite, by its key."""
    if path.suffix not in (".yaml", ".yml"):
        return False
    content = read_yaml(path, "a recipe or a suite")
    return isinstance(content, dict) and "suite" in content


def _plan_of_suite(registry: Registry, path: Path, parts: Mapping[str, Any]) -> Plan:
    suite = read_suite(path)
    if parts or suite.boards:
        what = "names the methods; leave out the parts" if parts else "asks for boards; run it with 'adbench run'"
        raise UsageError(f"suite {path} {what}")
    assignments = [one for spec in suite.tasks for one in assignments_of(spec, dataset_from(registry, spec.data))]
    return make_plan(recipes_of(suite, registry), assignments, registry)
