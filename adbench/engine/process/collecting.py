"""Python's search for garbage in cycles, kept out of large imports."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collecting() -> Iterator[None]:
    """Look for no garbage while libraries are imported, and never again among what they made.

    An import makes several hundred thousand objects that stay. Python looks through all of them again and again: a
    sixth of the processor time of ``import torch``.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()
