"""What the command line says of a dataset: its licence and source, where it is, and how many images it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from adbench.cli.screen import counted
from adbench.errors import AdbenchError, DataError

if TYPE_CHECKING:
    from adbench.api.component import Component
    from adbench.api.dataset import Dataset


def about_source(cls: type[Component]) -> Iterator[str]:
    """The licence, the size and the page of a published dataset."""
    source = getattr(cls, "source", None)
    if source is not None:
        images = f"{source.images:,} images" if source.images else ""
        yield "; ".join(filter(None, [f"licence: {source.licence}", images, _size(source.size)]))
        yield f"source: {source.page}"


def _size(count: int) -> str:
    if not count:
        return "size of the download unknown"
    return f"{count / 1e9:.2g} GB to download" if count >= 1e9 else f"{count / 1e6:.0f} MB to download"


def found(cls: type[Component]) -> list[str]:
    """The place of a class's dataset, the options that it needs, or the reason why it cannot be made."""
    from adbench.registration.faults import made

    needed = [name for name, info in cls.Config.model_fields.items() if info.is_required()]
    if needed:
        return [f"needs {', '.join(needed)}"]
    try:
        return whereabouts(cast("Dataset", made(cls)))
    except AdbenchError as error:
        return [str(error)]


def whereabouts(dataset: Dataset) -> list[str]:
    """The place and content of a dataset, or the reason why it is missing."""
    try:
        categories = dataset.categories()
    except DataError as error:
        return [str(error)]
    where = getattr(dataset, "root", "embedded")
    return [
        f"{where}: {counted(len(categories), 'category', 'categories')}, {_counts(dataset)} ({', '.join(categories)})"
    ]


def _counts(dataset: Dataset) -> str:
    try:
        splits = [dataset.split(category) for category in dataset.categories()]
    except DataError as error:
        return f"unsound: {error}"
    return f"{sum(len(split.train) for split in splits)} + {sum(len(split.test) for split in splits)} images"
