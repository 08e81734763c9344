"""The facts of this installation that a board uses: metrics, components, and local data."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.engine.plan.data_origin import dataset_from
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adbench.api.dataset import Dataset
    from adbench.boards.records.installed import BoardFacts, ScoresCheck
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Registry


def board_facts(data: str | None = None, check_scores: ScoresCheck | None = None) -> BoardFacts:
    """The facts of this installation, which no record can change.

    Args:
        data: a dataset or folder of records, in addition to the registered datasets.
        check_scores: a check of raw scores. By default they must lie beside the record, and its image metrics must
            follow from them if labels are available.
    """
    from adbench.boards.records.installed import BoardFacts
    from adbench.cli.plugins import installed
    from adbench.engine.plan.derived import Declarations

    registry = installed()
    here = _Data(registry, data)
    return BoardFacts(
        versions={entry.name: entry.cls.version for entry in registry.entries("metric")},
        contradiction=Declarations(registry).contradiction,
        check_scores=check_scores or here.check_scores,
        duplicates=here.duplicates,
    )


class _Data:
    """The datasets of records, by name, if they are on this machine."""

    def __init__(self, registry: Registry, data: str | None) -> None:
        self._registry, self._data = registry, data
        self._found: dict[str, Dataset | None] = {}

    def duplicates(self, record: ResultRecord) -> Sequence[str] | None:
        """Test images that are also training images of a record; None if its data is not on this machine."""
        from adbench.engine.plan.derived import duplicates

        dataset = self._of(record)
        return None if dataset is None else duplicates(record, dataset)

    def check_scores(self, folder: Path, record: ResultRecord) -> str:
        """The reason why a record's figures do not follow from its raw scores; empty if they do."""
        from adbench.boards.records.installed import raw_scores_fault
        from adbench.engine.process.location import is_here

        fault = raw_scores_fault(folder, record)
        if fault or record.predictions is None or not is_here(folder):
            return fault
        from adbench.engine.plan.derived import other_figures
        from adbench.engine.store.predictions import read_predictions

        try:
            predictions = read_predictions(folder, record.predictions)
        except StorageError as error:
            return f"its raw scores cannot be read: {error}"
        if len(predictions.ids) != record.task.test:
            return f"its raw scores are of {len(predictions.ids)} images, but the record is of {record.task.test}"
        for labels in self._labels(folder, record):
            if labels.keys() >= set(predictions.ids):
                metrics = self._registry.metrics()
                other = next(other_figures(record, predictions, labels, metrics), None)
                return (
                    "" if other is None else f"{other.what} is {other.recorded}, but {other.found} from its raw scores"
                )
        return ""

    def _labels(self, folder: Path, record: ResultRecord) -> Iterator[Mapping[str, bool]]:
        """Labels by image id (True: defective): first the dataset's, then those of the run's own details."""
        from adbench.api.dataset import GOOD
        from adbench.engine.evaluate.details import read_details

        dataset = self._of(record)
        with suppress(AdbenchError):
            if dataset is not None:
                yield {sample.id: sample.anomalous for sample in dataset.split(record.task.category).test}
        with suppress(AdbenchError):
            yield {image.id: image.defect != GOOD for image in read_details(folder).images}

    def _of(self, record: ResultRecord) -> Dataset | None:
        name = record.task.dataset
        if name not in self._found:
            self._found[name] = self._named(name)
        return self._found[name]

    def _named(self, name: str) -> Dataset | None:
        for source in (self._data, name if ("dataset", name) in self._registry.components else None):
            try:
                dataset = None if source is None else dataset_from(self._registry, source)
                if dataset is not None and dataset.board_name == name:
                    dataset.categories()
                    return dataset
            except AdbenchError:
                continue
        return None
