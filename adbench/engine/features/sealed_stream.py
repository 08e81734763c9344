"""Streams as components get them: features under aliases, and neither a path nor a name in an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from adbench.api.features import Features, FeatureStream
from adbench.engine.features.contract import is_out_of_memory
from adbench.errors import DataError, UnitTimeout

Given = TypeVar("Given")
Made = TypeVar("Made")


class Seal:
    """Keeps the errors of streams away from the components that walk over them.

    An error of a dataset names a file, and the file's folder names the label. A component gets an error that says
    nothing, and the engine raises the real one when the component has ended, whatever it did with its own.
    """

    def __init__(self) -> None:
        self._first: Exception | None = None

    def note(self, error: Exception) -> None:
        """Keep an error for the engine; the first one counts."""
        self._first = self._first or error

    @contextmanager
    def reopened(self) -> Iterator[None]:
        """Raise the error that was kept when the block ends, in place of what the block raised."""
        try:
            yield
        finally:
            if self._first is not None:
                raise self._first


class SealedStream(FeatureStream):
    """The features of another stream after a change, and nothing of where they come from.

    Args:
        source: opens batches, ids are aliases.
        change: what is made of each batch.
        seal: takes the errors of the source.
        labels: the class of each image, for a component that may know it.
    """

    def __init__(
        self,
        source: FeatureStream,
        change: Callable[[Features], Features],
        seal: Seal,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self._ids, self._labels = tuple(source.ids), dict(labels or {})
        # A function, so that no attribute of the stream leads to the samples and their labels
        self._walk: Callable[[], Iterator[Features]] = lambda: sealed(source, change, seal, "the features of an image")

    @property
    def ids(self) -> Sequence[str]:
        return self._ids

    @property
    def labels(self) -> Mapping[str, int]:
        return self._labels

    def __iter__(self) -> Iterator[Features]:
        return self._walk()


def sealed(source: Iterable[Given], change: Callable[[Given], Made], seal: Seal, what: str) -> Iterator[Made]:
    """What a source gives, after a change, without the errors that name files.

    Args:
        source: may raise errors that name files.
        change: what is made of each item.
        seal: takes the errors.
        what: cannot be had, for the error that a component gets.
    """
    walk = iter(source)
    while True:
        made, item, kept = None, None, False
        try:
            item = next(walk, None)
            made = None if item is None else change(item)
        except UnitTimeout:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            seal.note(error)
            kept = True
        if kept:  # raised out here, so that it has no context that tells more
            raise DataError(f"{what} cannot be had; the engine knows which, and why")
        if made is None:
            return
        yield made
