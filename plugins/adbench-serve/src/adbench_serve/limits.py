"""The limits of a server, and the refusals that name them."""

from __future__ import annotations

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
        queue: requests that are under way at a time, uploads included.
        seconds: for an upload, and again for its answer.
        together: megabytes of all requests that are under way.
    """

    megabytes: float = 64
    megapixels: float = 50
    images: int = 32
    queue: int = 64
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
