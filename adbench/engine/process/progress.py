"""How far a stage of a unit has come: one count over all its folds, views and walks, which ends where it said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watch = Callable[[str, int, int], None]
"""Told the name of a stage, how many images are done, and of how many."""


class StageProgress:
    """Counts the images of one stage.

    What a part promises of its walks need not be what it does: one that breaks off early, or peeks into a stream before
    it walks, moves the count, which never goes back, never beyond its total, and is at its total when the stage ends.

    Args:
        watch: told of every step.
        stage: its name.
        total: images that will be seen, each as often as it will be; 0 as long as nobody knows, or nothing is seen.
    """

    def __init__(self, watch: Watch, stage: str, total: int = 0) -> None:
        self._watch, self._stage, self.total = watch, stage, total
        self._done = 0

    def seen(self, images: int) -> None:
        """So many images more are done."""
        self._tell(min(self._done + images, self.total))

    @contextmanager
    def running(self) -> Iterator[StageProgress]:
        """The stage itself: what ends well has come to its total."""
        yield self
        self._tell(self.total)

    def _tell(self, done: int) -> None:
        if done > self._done:
            self._done = done
            self._watch(self._stage, done, self.total)
