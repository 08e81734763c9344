"""The limits of a server, and the refusals that name them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a server takes at most.

    Attributes:
        megabytes: of one request's body.
        megapixels: of all images of one request.
        images: in one request.
        arriving: requests at a time whose uploads are not complete.
        patience: seconds after which an upload that is not complete gives its place to a newcomer, if all are taken.
        queue: requests at a time whose uploads are complete and whose answers are not.
        seconds: for an upload, and again for its answer.
        together: megabytes of all requests that are under way.
    """

    megabytes: float = 64
    megapixels: float = 50
    images: int = 32
    arriving: int = 256
    patience: float = 5
    queue: int = 256
    seconds: float = 30
    together: float = 512


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        sentence: why, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class UploadBudget:
    """The bytes that the uploads of all requests may take together, until they are answered.

    Args:
        megabytes: at most.

    Attributes:
        taken: bytes that requests hold now.
    """

    def __init__(self, megabytes: float) -> None:
        self._megabytes, self.taken = megabytes, 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """The share of one request, which grows as its bytes arrive and is given back at the end.

        Yields:
            Adds a number of bytes; raises `Refusal` (503) where the budget is used up.
        """
        own = 0

        def take(count: int) -> None:
            nonlocal own
            if self.taken + count > self._megabytes * 1e6:
                raise Refusal(
                    503, f"the uploads under way hold {self._megabytes:g} MB, which is the limit; try again in a second"
                )
            self.taken += count
            own += count

        try:
            yield take
        finally:
            self.taken -= own


class Arrivals:
    """The places of uploads that arrive, apart from those of complete ones: slow clients hold up nobody.

    Args:
        most: uploads at a time.
        patience: seconds after which an upload gives its place to a newcomer, if all places are taken.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most, self._patience = most, patience
        self._since: dict[asyncio.Future[None], float] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._since)

    @property
    def has_room(self) -> bool:
        """Whether another upload would be taken."""
        return len(self) < self._most or self._slow is not None

    @contextmanager
    def place(self) -> Iterator[asyncio.Future[None]]:
        """A place for one upload.

        Yields:
            What is done when the upload has lost its place to another one.

        Raises:
            Refusal: all places are taken by uploads that began just now (429).
        """
        if not self.has_room:
            raise Refusal(429, f"{len(self)} uploads arrive at once, which is the limit; try again in a second")
        slow = self._slow
        if len(self) >= self._most and slow is not None:
            del self._since[slow]
            slow.set_result(None)
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        self._since[lost] = loop.time()
        try:
            yield lost
        finally:
            self._since.pop(lost, None)

    @property
    def _slow(self) -> asyncio.Future[None] | None:
        """The oldest upload, if it has had its time."""
        oldest = next(iter(self._since.items()), None)
        if oldest is None or asyncio.get_running_loop().time() - oldest[1] < self._patience:
            return None
        return oldest[0]
