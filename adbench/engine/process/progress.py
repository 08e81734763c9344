"""The progress of a stage of a unit: one count over all its folds, views and passes, which ends at its total."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watch = Callable[[str, int, int], None]
"""A callback: the name of a stage, the number of images that are done, and the total."""


class StageProgress:
    """Counts the images of one stage.

    A component may read its streams more or less often than it declares. The count still never goes back or exceeds its
    total, and it is at the total when the stage ends.

    Args:
        watch: called at every step.
        stage: its name.
        total: number of images, each counted as often as it is read; 0 while it is unknown, and where none is read.
    """

    def __init__(self, watch: Watch, stage: str, total: int = 0) -> None:
        self._watch, self._stage, self.total = watch, stage, total
        self._done = 0

    def advance(self, images: int) -> None:
        """Count so many more images as done."""
        self._report(min(self._done + images, self.total))

    @contextmanager
    def running(self) -> Iterator[StageProgress]:
        """Run the stage; the count is at its total if the block ends without an error."""
        yield self
        self._report(self.total)

    def _report(self, done: int) -> None:
        if done > self._done:
            self._done = done
            self._watch(self._stage, done, self.total)
