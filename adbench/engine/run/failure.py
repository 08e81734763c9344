"""The status and the reason of a unit that failed, whatever was raised."""

from __future__ import annotations

from typing import NamedTuple

from adbench.engine.features.contract import is_out_of_memory
from adbench.engine.process.error_text import MOST_OF_A_REASON, bounded, named, text_of, trace_of
from adbench.engine.store.record import Status
from adbench.errors import AdbenchError, UnitTimeout

_LESS_MEMORY = "use a smaller --batch-size, smaller images, or a bank that keeps less"


class Failure(NamedTuple):
    """How a unit failed. `trace` is the traceback of what a component raised, empty for a user's mistake."""

    status: Status
    reason: str
    trace: str = ""


def failure_of(error: BaseException, device: str) -> Failure:
    """The failure that a record tells of, from the error that ended its unit.

    What is no `AdbenchError` has slipped past those who hold components to their contracts, and is no component's for
    certain; it costs its unit all the same, and no other.
    """
    if isinstance(error, AdbenchError):
        status: Status = "timeout" if isinstance(error, UnitTimeout) else "failed"
        return Failure(status, bounded(text_of(error), MOST_OF_A_REASON), trace_of(error.__cause__))
    if is_out_of_memory(error):
        text = bounded(text_of(error).strip().partition("\n")[0], 200) or "no details"
        return Failure("out-of-memory", f"out of memory on {device} ({text}); {_LESS_MEMORY}")
    return Failure(
        "failed",
        f"adbench raised {named(error)}; a component brought it there, or adbench is wrong: traceback.txt tells where",
        trace_of(error),
    )
