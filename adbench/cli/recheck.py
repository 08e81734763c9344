"""A check of a record without running its recipe: everything that follows from its raw scores and its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.engine.plan.data_origin import Datasets
from adbench.errors import AdbenchError, DataError, StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.api.metric import Metric
    from adbench.engine.evaluate.bootstrap import SharedIntervals
    from adbench.engine.evaluate.details import Details
    from adbench.engine.evaluate.evaluator import Evaluator
    from adbench.engine.store.record import MetricInfo, ResultRecord

ROUNDING = 1e-9
"""Tolerance for metrics of the same raw scores: rounding only."""
INTERVAL = 0.02
"""Tolerance for the ends of an interval: other numbers of draws, and other libraries, change them."""
_NEW_DETAILS = "write it again with 'adbench evaluate --intervals'"
_EVALUATE = "run 'adbench evaluate' on it"
SHOWN = 1e-5
"""Relative tolerance between a score in details and the raw score: details have 6 digits."""


class Recheck:
    """A check of runs, each once.

    Attributes:
        faults: contradictions, in sentences; a run with a fault is not submitted.
    """

    def __init__(self, data: str | None) -> None:
        from adbench.cli.plugins import installed
        from adbench.engine.evaluate.bootstrap import SharedIntervals

        self.faults: list[str] = []
        self._datasets = Datasets(installed(), data)
        self._intervals = SharedIntervals()
        self._results: dict[Path, str] = {}

    def check_scores(self, folder: Path, record: ResultRecord) -> str:
        """The reason why the figures cannot be checked against raw scores; empty if they were checked."""
        if folder not in self._results:
            self._results[folder] = self._checked(folder, record)
        return self._results[folder]

    def _checked(self, folder: Path, record: ResultRecord) -> str:
        from adbench.api.untrusted import is_there

        if record.status != "ok":
            return ""
        if record.predictions is None:
            return "it names no raw scores"
        if not is_there(folder / record.predictions.file):
            return f"its raw scores, {record.predictions.file}, are missing beside it"
        try:
            return self._measured(folder, record)
        except (DataError, StorageError) as error:
            self.faults.append(f"{folder}: {error}")
            return "it contradicts its raw scores or data"

    def _measured(self, folder: Path, record: ResultRecord) -> str:
        from adbench.engine.store.predictions import read_predictions

        if record.predictions is not None:
            read_predictions(folder, record.predictions)
        try:
            dataset = self._datasets.of(folder, record)
            dataset.categories()
        except AdbenchError as error:
            return f"its metrics could not be computed again: {error}"
        self.faults += [f"{folder}: {sentence}" for sentence in _changed(record, folder, dataset, self._intervals)]
        return ""


def _changed(record: ResultRecord, folder: Path, dataset: Dataset, shared: SharedIntervals) -> Iterator[str]:
    """A sentence for each value of a record that differs when it is computed again."""
    from adbench.cli.plugins import installed
    from adbench.engine.evaluate.evaluator import measure
    from adbench.engine.evaluate.reproduce import compare, evaluator_of

    evaluator = evaluator_of(folder, record, dataset)
    strange = next(_misplaced(evaluator), "")
    if strange:  # before any map of such a size is made
        yield strange
        return
    metrics = installed().metrics()
    measured = measure(metrics, evaluator.evidence())
    for metric, was, now, agrees in compare(record, record.model_copy(update={"metrics": measured}), ROUNDING):
        if metric in record.metrics and not agrees:
            version = _of_version(record, measured, metric)
            yield f"{metric} is {was}{version}, but {now} when computed again; {_EVALUATE}"
    yield from _counted(record, evaluator, dataset)
    yield from _other_intervals(record, evaluator, measured, shared)
    yield from _other_details(record, evaluator, folder, metrics)


def _of_version(record: ResultRecord, measured: dict[str, MetricInfo], metric: str) -> str:
    """The version of a record's metric, in words, if it differs from the installed one."""
    version = record.metrics[metric].version
    return "" if metric in measured and measured[metric].version == version else f" by its version {version}"


def _misplaced(evaluator: Evaluator) -> Iterator[str]:
    """A sentence for each image whose size differs from the size in the raw scores."""
    for sample, place in zip(evaluator.samples, evaluator.predictions.geometry, strict=True):
        size = evaluator.dataset.image(sample).shape[:2]
        if place.original != size:
            yield f"its raw scores are of an image of {place.original} pixels, {sample.id} has {size}"


def _counted(record: ResultRecord, evaluator: Evaluator, dataset: Dataset) -> Iterator[str]:
    from adbench.engine.evaluate.reproduce import protocol_of, task_of

    protocol = protocol_of(record)
    task = task_of(record, dataset, protocol)
    for name, recorded, found in (
        ("train", record.task.train, len(task.train)),
        ("test", record.task.test, len(evaluator.samples)),
        ("skipped", sorted(record.task.skipped), sorted(task.skipped)),
        ("duplicates", sorted(record.task.duplicates or ()), sorted(task.duplicates)),
        ("exemplars", sorted(record.task.exemplars), sorted(sample.id for sample in task.exemplars)),
    ):
        if recorded != found and not (name == "duplicates" and record.task.duplicates is None):
            yield f"its {name} is {str(recorded)[:100]}, but {str(found)[:100]} with this data; run it again"
    learned, labelled = record.regime.train_images > 0, any(sample.anomalous for sample in task.train)
    must = learned and labelled and protocol.contaminate is None
    if not must <= record.regime.anomalies <= (must or (learned and bool(task.exemplars))):
        yield "its regime is wrong about labelled anomalies among the training images; run it again"


def _other_intervals(
    record: ResultRecord, evaluator: Evaluator, measured: dict[str, MetricInfo], shared: SharedIntervals
) -> Iterator[str]:
    if not any(info.interval for info in record.metrics.values()):
        return
    recomputed = shared.added(measured, evaluator)
    for name, info in record.metrics.items():
        found = recomputed[name].interval if name in recomputed else None
        if info.interval is not None and not _near(info.interval, found):
            yield f"the interval of {name} is {info.interval}, but {found} when drawn again; {_EVALUATE}"


def _near(recorded: tuple[float, float], found: tuple[float, float] | None) -> bool:
    return found is not None and all(abs(one - other) <= INTERVAL for one, other in zip(recorded, found, strict=True))


def _other_details(record: ResultRecord, evaluator: Evaluator, folder: Path, metrics: list[Metric]) -> Iterator[str]:
    """A sentence for each part of the details that does not follow from the raw scores."""
    from adbench.api.untrusted import is_there
    from adbench.engine.evaluate.details import DETAILS_FILE, details_of, read_details

    if not is_there(folder / DETAILS_FILE):
        return
    details, computed = read_details(folder), details_of(record.id, evaluator, metrics)
    if details.id not in (record.id, record.former_id):
        yield f"{DETAILS_FILE} is of another run; {_NEW_DETAILS}"
        return
    expected = {**computed.model_dump(), "threshold": _threshold(details, record, evaluator)}
    for name in ("images", "by_defect", "curves", "threshold"):
        if not _alike(details.model_dump()[name], expected[name]):
            yield f"{DETAILS_FILE} has {name} that do not follow from the raw scores; {_NEW_DETAILS}"


def _threshold(details: Details, record: ResultRecord, evaluator: Evaluator) -> dict[str, Any] | None:
    """The threshold that the same rule sets on the same normal scores."""
    from adbench.engine.evaluate.reproduce import redeploy

    found = None if details.threshold is None else redeploy(details.threshold.rule, record, evaluator)
    return None if found is None else found.model_dump()


def _alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal except for rounding; mappings are compared on their common keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_alike(one[key], other[key]) for key in one.keys() & other.keys())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= SHOWN * max(1.0, abs(other))
    return bool(one == other)
