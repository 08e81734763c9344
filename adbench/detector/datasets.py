"""The dataset that a user's word names."""

from __future__ import annotations

import os
from typing import cast

from adbench.api.dataset import Dataset
from adbench.engine.plan.recipe import Part
from adbench.errors import UnknownName, UsageError
from adbench.registration.registry import Registry


def dataset_from(registry: Registry, data: str, root: str | None = None) -> Dataset:
    """The dataset of ``--data``: a registered one, with an optional ``--root``, or a folder.

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
        raise UnknownName("dataset or folder", data, known)
    return cast("Dataset", part.make("dataset", registry))
