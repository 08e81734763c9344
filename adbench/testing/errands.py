"""The work of executors in checks; light, so that every process imports it fast."""

from __future__ import annotations

import os


def repeat(order: str) -> str:
    """Answer with the order itself."""
    return order


def repeat_or_die(order: str) -> str:
    """Answer with the order, or take the process down where the order is the id of another one: of that which asked."""
    if order.isdecimal() and int(order) != os.getpid():
        os._exit(1)
    return order
