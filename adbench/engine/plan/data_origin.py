"""Where the images of a local run lie: a small file beside its record, which no board ever takes.

A record holds no path: it is meant to be published. But who evaluates his own runs should not have to say again where
the data is. The file is a default and nothing more: what it names is looked at only where nobody said ``--data``, it
must name the dataset that the record names, and the images found there must be those of the record.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adbench.api.dataset import Dataset
from adbench.engine.plan.recipe import Part
from adbench.engine.store.record import ResultRecord, storage_errors
from adbench.errors import AdbenchError, DataError, StorageError
from adbench.registry import Registry

ORIGIN_FILE = "origin.json"
MAX_ORIGIN_BYTES = 64 << 10
_GIVE = "say where it is with --data PATH"


class Origin(BaseModel):
    """The file: a dataset's component and its options, paths among them absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(1, alias="schema", ge=1, le=1)
    dataset: str = Field(max_length=100)
    options: dict[str, Any] = Field(max_length=50)


def write_origin(folder: Path, dataset: Dataset) -> None:
    """Write the file into a run's folder.

    Raises:
        StorageError: disk full or read-only.
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
    """What the file says; None where there is none, or none that could be one."""
    file = folder / ORIGIN_FILE
    try:
        if not stat.S_ISREG(file.lstat().st_mode) or file.stat().st_size > MAX_ORIGIN_BYTES:
            return None
        return Origin.model_validate(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError, ValidationError):
        return None


def origin_of(folder: Path | None, record: ResultRecord, registry: Registry) -> Dataset:
    """The dataset that a run was made on, as the file beside its record says.

    Args:
        folder: of the run; None where a record was found alone.
        record: of the run.
        registry: what is installed.

    Raises:
        StorageError: no file says it, or what it names is not there any more, or is another dataset.
    """
    name, origin = record.task.dataset, None if folder is None else read_origin(folder)
    if origin is None:
        raise StorageError(f"it was made on the folder {name!r}; {_GIVE}")
    try:
        dataset = cast("Dataset", Part(name=origin.dataset, options=origin.options).make("dataset", registry))
        dataset.categories()
        same = dataset.board_name == name
    except DataError:
        raise StorageError(f"its images were in {_place(origin)}, and are not there any more; {_GIVE}") from None
    except (AdbenchError, OSError, ValueError) as error:
        raise StorageError(f"what {ORIGIN_FILE} names cannot be used ({error}); {_GIVE}") from None
    if not same:
        raise StorageError(f"{ORIGIN_FILE} names {_place(origin)}, which is not {name!r}; {_GIVE}")
    return dataset


def _place(origin: Origin) -> str:
    """The folder that the options name, or else the dataset."""
    return str(origin.options.get("root") or origin.dataset)
