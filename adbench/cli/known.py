"""What boards are told of the adbench that is installed: metrics, components, and data that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.cli.options import dataset_from
from adbench.errors import AdbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adbench.api.dataset import Dataset
    from adbench.boards.known import Known, Witness
    from adbench.engine.record import ResultRecord
    from adbench.registry import Registry


def known_here(data: str | None = None, witness: Witness | None = None) -> Known:
    """What no record can change.

    Args:
        data: a dataset or folder that records may have been made on, besides those whose name is known.
        witness: looks at raw scores; by default only whether they are beside the record.
    """
    from dataclasses import replace

    from adbench.boards.known import Known
    from adbench.engine.derived import Declarations
    from adbench.registry import installed

    registry = installed()
    known = Known(
        versions={entry.name: entry.cls.version for entry in registry.entries("metric")},
        contradiction=Declarations(registry).contradiction,
        duplicates=_Data(registry, data).duplicates,
    )
    return known if witness is None else replace(known, witness=witness)


class _Data:
    """Datasets by the name that records have, as far as they are here."""

    def __init__(self, registry: Registry, data: str | None) -> None:
        self._registry, self._data = registry, data
        self._found: dict[str, Dataset | None] = {}

    def duplicates(self, record: ResultRecord) -> Sequence[str] | None:
        """Test images that a record learns from too; None where its data is not here."""
        from adbench.engine.derived import duplicates

        name = record.task.dataset
        if name not in self._found:
            self._found[name] = self._named(name)
        dataset = self._found[name]
        return None if dataset is None else duplicates(record, dataset)

    def _named(self, name: str) -> Dataset | None:
        for said in (self._data, name if ("dataset", name) in self._registry.components else None):
            try:
                dataset = None if said is None else dataset_from(self._registry, said)
                if dataset is not None and dataset.board_name == name:
                    dataset.categories()
                    return dataset
            except AdbenchError:
                continue
        return None
