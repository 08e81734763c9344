"""Where images come from: the dataset that ``--data`` names, and the origin of a local run.

The origin is a small file beside a record with the place of the run's images; no board copies it. A record holds no
path, because it may be published. With the file, a user need not give the place of the data again. It is only a
default: it is read without ``--data`` only, its dataset must have the name in the record, and its images must be those
of the record.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adbench.api.dataset import Dataset
from adbench.engine.plan.recipe import Part
from adbench.engine.store.record import ResultRecord, canonical_json, storage_errors
from adbench.errors import AdbenchError, DataError, StorageError, UnknownName, UsageError
from adbench.registration.elsewhere import advice_for
from adbench.registration.registry import Registry

ORIGIN_FILE = "origin.json"
MAX_ORIGIN_BYTES = 64 << 10
_GIVE = "give its place with --data PATH"


def dataset_from(registry: Registry, data: str, root: str | None = None, ignore: str | None = None) -> Dataset:
    """The dataset of ``--data``: a registered one, with an optional ``--root``, or a folder.

    Args:
        registry: what is installed.
        data: ``--data``.
        root: ``--root``, or None.
        ignore: ``--ignore``, the file that marks pixels to ignore, or None.

    Raises:
        UnknownName: neither a dataset nor a folder has this name.
        UsageError: ``--data`` is a folder and ``--root`` is given.
    """
    known = [entry.name for entry in registry.entries("dataset")]
    if data.partition(":")[0] in known:
        part = Part.parse(data)
        part = part if root is None else Part(name=part.name, options={**part.options, "root": root})
    elif root is not None:
        raise UsageError(f"--root {root} is for a dataset with a name; --data {data} is a folder: leave out --root")
    elif not data.strip():
        raise UsageError("--data is empty; give a dataset's name (see 'adbench data list') or a folder")
    elif os.path.exists(data) or "/" in data or "\\" in data:  # noqa: PTH110  pathlib's own raises on long names
        part = Part(name="folder", options={"root": data})
    else:
        advice = advice_for(data.partition(":")[0], "dataset")
        raise UnknownName("dataset or folder", data, known, advice, see="adbench data list")
    if ignore is not None:
        part = Part(name=part.name, options={**part.options, "ignore": ignore})
    return cast("Dataset", part.make("dataset", registry))


class Origin(BaseModel):
    """The content of the file: a dataset's component and its options, with absolute paths."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(1, alias="schema", ge=1, le=1)
    dataset: str = Field(max_length=100)
    options: dict[str, Any] = Field(max_length=50)


def write_origin(folder: Path, dataset: Dataset) -> None:
    """Write the origin into a run's folder.

    Raises:
        StorageError: the disk is full or read-only.
    """
    options = dataset.config.model_dump(mode="json")
    for name in type(dataset.config).model_fields:
        value = getattr(dataset.config, name)
        if isinstance(value, Path):
            options[name] = str(value.expanduser().absolute())
    text = json.dumps(Origin(dataset=dataset.name, options=options).model_dump(by_alias=True), indent=1)
    if len(text) <= MAX_ORIGIN_BYTES:
        with storage_errors(folder):
            (folder / ORIGIN_FILE).write_text(text + "\n", encoding="ascii")


def read_origin(folder: Path) -> Origin | None:
    """The origin in a run's folder; None if the file is missing or invalid."""
    file = folder / ORIGIN_FILE
    try:
        if not stat.S_ISREG(file.lstat().st_mode) or file.stat().st_size > MAX_ORIGIN_BYTES:
            return None
        return Origin.model_validate(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError, ValidationError):
        return None


def origin_of(folder: Path | None, record: ResultRecord, registry: Registry) -> Dataset:
    """The dataset of a run, from the file of origin beside its record.

    Args:
        folder: of the run; None for a record without a folder.
        record: of the run.
        registry: the installed plugins.

    Raises:
        StorageError: the file is missing, its dataset is missing, or it names another dataset.
    """
    name, origin = record.task.dataset, None if folder is None else read_origin(folder)
    if origin is None:
        raise StorageError(f"its dataset is the folder {name!r}; {_GIVE}")
    try:
        dataset = cast("Dataset", Part(name=origin.dataset, options=origin.options).make("dataset", registry))
        dataset.categories()
        same = dataset.board_name == name
    except DataError:
        raise StorageError(f"its images were in {_place(origin)}, but are not there any more; {_GIVE}") from None
    except (AdbenchError, OSError, ValueError) as error:
        raise StorageError(f"the dataset in {ORIGIN_FILE} cannot be used ({error}); {_GIVE}") from None
    if not same:
        raise StorageError(f"{ORIGIN_FILE} names {_place(origin)}, which is not {name!r}; {_GIVE}")
    return dataset


def _place(origin: Origin) -> str:
    """The folder in the options, or else the name of the dataset."""
    return str(origin.options.get("root") or origin.dataset)


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
        origin = None if self.data is not None else read_origin(folder)
        key = canonical_json([self.data, record.task.dataset, origin and origin.model_dump()])
        if key not in self._known:
            self._known[key] = dataset_of(self.registry, record, self.data, folder)
        return self._known[key]
