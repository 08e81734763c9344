"""The dataset that a record was made on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.cli.options import dataset_from
from adbench.engine.store.record import canonical_json
from adbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from adbench.api.dataset import Dataset
    from adbench.engine.store.record import ResultRecord
    from adbench.registry import Registry


def dataset_of(registry: Registry, record: ResultRecord, data: str | None, folder: Path | None = None) -> Dataset:
    """The dataset that ``--data`` names, or else the record, or else the file beside it that says where it was.

    The record's own name goes before the file: whoever has the dataset of that name judges others' runs on his own.

    Args:
        registry: what is installed.
        record: names its dataset.
        data: of the command line, if it was given.
        folder: of the run, where the record was found in one.

    Raises:
        StorageError: the record was made on a folder, and nobody says where it is.
        DataError: the dataset is not there.
        UnknownName: ``--data`` names nothing.
    """
    from adbench.engine.plan.data_origin import origin_of, read_origin

    if data is not None:
        return dataset_from(registry, data)
    if ("dataset", record.task.dataset) not in registry.components:
        return origin_of(folder, record, registry)
    try:
        dataset = dataset_from(registry, record.task.dataset)
        dataset.categories()
    except (DataError, UsageError):
        if folder is None or read_origin(folder) is None:
            raise
        return origin_of(folder, record, registry)
    return dataset


class Datasets:
    """The datasets of many records: one for all of those that lie in one place, since it knows its files' contents."""

    def __init__(self, registry: Registry, data: str | None) -> None:
        self.registry, self.data = registry, data
        self._known: dict[str, Dataset] = {}

    def of(self, folder: Path, record: ResultRecord) -> Dataset:
        """The dataset of a run; raises as `dataset_of` does."""
        from adbench.engine.plan.data_origin import read_origin

        origin = None if self.data is not None else read_origin(folder)
        key = canonical_json([self.data, record.task.dataset, origin and origin.model_dump()])
        if key not in self._known:
            self._known[key] = dataset_of(self.registry, record, self.data, folder)
        return self._known[key]
