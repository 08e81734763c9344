"""The limits of a server, and the refusals that name them."""

from __future__ import annotations

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
    """

    megabytes: float = 64
    megapixels: float = 50
    images: int = 32
    queue: int = 64
    seconds: float = 30


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        sentence: why, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
