"""A run's record put to the test without running it: everything that follows from its raw scores and its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adbench.cli.run_data import dataset_of
from adbench.errors import AdbenchError, DataError, StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.api.metric import Metric
    from adbench.engine.evaluate.details import Details
    from adbench.engine.evaluate.evaluator import Evaluator
    from adbench.engine.store.record import MetricInfo, ResultRecord

ROUNDING = 1e-9
"""Metrics of the same raw scores differ by rounding at most."""
INTERVAL = 0.02
"""By how much the end of an interval may differ: other numbers of draws, and libraries, move it."""
_ANEW = "make it anew with 'adbench evaluate --intervals'"
_EVALUATE = "run 'adbench evaluate' on it"
SHOWN = 1e-5
"""By how much a score in details may differ from the raw one, relative to it: they have 6 digits."""


class Recheck:
    """Looks at runs, each once.

    Attributes:
        faults: what cannot be, in sentences; such a run is not handed in at all.
    """

    def __init__(self, data: str | None) -> None:
        self.faults: list[str] = []
        self._data = data
        self._seen: dict[Path, str] = {}

    def witness(self, folder: Path, record: ResultRecord) -> str:
        """Why the figures cannot be known to follow from raw scores, where nothing is wrong with them; else empty."""
        if folder not in self._seen:
            self._seen[folder] = self._look(folder, record)
        return self._seen[folder]

    def _look(self, folder: Path, record: ResultRecord) -> str:
        from adbench.api.untrusted import is_there

        if record.status != "ok":
            return ""
        if record.predictions is None:
            return "it names no raw scores"
        if not is_there(folder / record.predictions.file):
            return f"its raw scores, {record.predictions.file}, are not beside it"
        try:
            return self._measured(folder, record)
        except (DataError, StorageError) as error:
            self.faults.append(f"{folder}: {error}")
            return "it is not what it should be"

    def _measured(self, folder: Path, record: ResultRecord) -> str:
        from adbench.cli.plugins import installed
        from adbench.engine.store.predictions import read_predictions

        if record.predictions is not None:
            read_predictions(folder, record.predictions)
        try:
            dataset = dataset_of(installed(), record, self._data, folder)
            dataset.categories()
        except AdbenchError as error:
            return f"not measured again: {error}"
        self.faults += [f"{folder}: {sentence}" for sentence in _changed(record, folder, dataset)]
        return ""


def _changed(record: ResultRecord, folder: Path, dataset: Dataset) -> Iterator[str]:
    """A sentence for each thing that a record says and that comes out differently."""
    from adbench.cli.plugins import installed
    from adbench.engine.evaluate.evaluator import measure
    from adbench.engine.evaluate.reproduce import compare, evaluator_of

    judge = evaluator_of(folder, record, dataset)
    strange = next(_misplaced(judge), "")
    if strange:  # before any map of such a size is made
        yield strange
        return
    metrics = [cast("Metric", metric) for metric in installed().made("metric")]
    measured = measure(metrics, judge.evidence())
    for metric, was, now, agrees in compare(record, record.model_copy(update={"metrics": measured}), ROUNDING):
        if metric in record.metrics and not agrees:
            version = _of_version(record, measured, metric)
            yield f"{metric} is {was}{version}, and {now} when measured again; {_EVALUATE}"
    yield from _counted(record, judge, dataset)
    yield from _other_intervals(record, judge, measured)
    yield from _other_details(record, judge, folder, metrics)


def _of_version(record: ResultRecord, measured: dict[str, MetricInfo], metric: str) -> str:
    """The version of a metric where it is none that is installed."""
    version = record.metrics[metric].version
    return "" if metric in measured and measured[metric].version == version else f" by its version {version}"


def _misplaced(judge: Evaluator) -> Iterator[str]:
    """Images that are not of the size that the raw scores claim."""
    for sample, place in zip(judge.samples, judge.predictions.geometry, strict=True):
        size = judge.dataset.image(sample).shape[:2]
        if place.original != size:
            yield f"its raw scores are of an image of {place.original} pixels, {sample.id} has {size}"


def _counted(record: ResultRecord, judge: Evaluator, dataset: Dataset) -> Iterator[str]:
    from adbench.engine.evaluate.reproduce import protocol_of, task_of

    task = task_of(record, dataset, protocol_of(record))
    for name, said, found in (
        ("train", record.task.train, len(task.train)),
        ("test", record.task.test, len(judge.samples)),
        ("skipped", sorted(record.task.skipped), sorted(task.skipped)),
        ("duplicates", sorted(record.task.duplicates or ()), sorted(task.duplicates)),
    ):
        if said != found and not (name == "duplicates" and record.task.duplicates is None):
            yield f"its {name} is {str(said)[:100]}, and {str(found)[:100]} with this data; run it again"
    if record.regime.anomalies != (record.regime.train_images > 0 and any(sample.anomalous for sample in task.train)):
        yield "its regime is wrong about whether it learned from labelled anomalies; run it again"


def _other_intervals(record: ResultRecord, judge: Evaluator, measured: dict[str, MetricInfo]) -> Iterator[str]:
    if not any(info.interval for info in record.metrics.values()):
        return
    from adbench.engine.evaluate.bootstrap import DRAWS, with_intervals

    again = with_intervals(measured, judge, DRAWS)
    for name, info in record.metrics.items():
        found = again[name].interval if name in again else None
        if info.interval is not None and not _near(info.interval, found):
            yield f"the interval of {name} is {info.interval}, and {found} when drawn again; {_EVALUATE}"


def _near(said: tuple[float, float], found: tuple[float, float] | None) -> bool:
    return found is not None and all(abs(one - other) <= INTERVAL for one, other in zip(said, found, strict=True))


def _other_details(record: ResultRecord, judge: Evaluator, folder: Path, metrics: list[Metric]) -> Iterator[str]:
    """What a page would show of single images and of a threshold has to follow from the raw scores too."""
    from adbench.api.untrusted import is_there
    from adbench.engine.evaluate.details import DETAILS_FILE, details_of, read_details

    if not is_there(folder / DETAILS_FILE):
        return
    said, found = read_details(folder), details_of(record.id, judge, metrics)
    if said.id not in (record.id, record.former_id):
        yield f"{DETAILS_FILE} is of another run; {_ANEW}"
        return
    again = {**found.model_dump(), "threshold": _threshold(said, record, judge)}
    for name in ("images", "by_defect", "curves", "threshold"):
        if not _alike(said.model_dump()[name], again[name]):
            yield f"{DETAILS_FILE} has {name} that do not follow from the raw scores; {_ANEW}"


def _threshold(said: Details, record: ResultRecord, judge: Evaluator) -> dict[str, Any] | None:
    """The threshold that the same rule sets on the same normal scores."""
    from adbench.engine.evaluate.reproduce import deployed_again

    found = None if said.threshold is None else deployed_again(said.threshold.rule, record, judge)
    return None if found is None else found.model_dump()


def _alike(said: Any, found: Any) -> bool:
    """Whether two JSON values are the same but for rounding; of a mapping, what only one of them has may be absent."""
    if isinstance(said, dict) and isinstance(found, dict):
        return all(_alike(said[key], found[key]) for key in said.keys() & found.keys())
    if isinstance(said, list | tuple) and isinstance(found, list | tuple):
        return len(said) == len(found) and all(map(_alike, said, found))
    if isinstance(said, float | int) and isinstance(found, float | int):
        return abs(said - found) <= SHOWN * max(1.0, abs(found))
    return bool(said == found)
