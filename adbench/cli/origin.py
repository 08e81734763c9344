"""The dataset that a record was made on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.cli.options import dataset_from
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.engine.record import ResultRecord
    from adbench.registry import Registry


def dataset_of(registry: Registry, record: ResultRecord, data: str | None) -> Dataset:
    """The dataset that ``--data`` names, or else the record.

    Raises:
        StorageError: the record was made on a folder, and nobody says where it is.
        UnknownName: ``--data`` names nothing.
    """
    if data is None and ("dataset", record.task.dataset) not in registry.components:
        raise StorageError(f"it was made on the folder {record.task.dataset!r}; say where it is with --data PATH")
    return dataset_from(registry, data or record.task.dataset)
