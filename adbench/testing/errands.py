"""Work for executors in checks; light, so that every process imports it fast."""

from __future__ import annotations

import os


def repeat(order: str) -> str:
    """Answer with the order itself."""
    return order


def repeat_or_die(order: str) -> str:
    """Answer with the order; if it is the id of another process, the one that asked, end this process instead."""
    if order.isdecimal() and int(order) != os.getpid():
        os._exit(1)
    return order
