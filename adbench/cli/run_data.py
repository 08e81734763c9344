"""The dataset of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.store.record import canonical_json
from adbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from adbench.api.dataset import Dataset
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Registry


def dataset_of(registry: Registry, record: ResultRecord, data: str | None, folder: Path | None = None) -> Dataset:
    """The dataset of a record: from ``--data``, else by the record's name, else from the file of origin beside it.

    The record's name comes before the file, so an installed dataset of that name is used for other people's runs.

    Args:
        registry: the installed plugins.
        record: the record, which names its dataset.
        data: the option ``--data``, if given.
        folder: the run's folder, if the record was found in one.

    Raises:
        StorageError: the record's dataset is a folder of unknown place.
        DataError: the dataset is missing.
        UnknownName: ``--data`` names neither a dataset nor a folder.
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
    """The datasets of many records; records of one place share a dataset, which remembers the contents of its files."""

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
