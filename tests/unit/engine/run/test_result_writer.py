import pytest

from adbench import DataError
from adbench.engine.features.contract import ComponentCrash
from adbench.engine.run.result_writer import failure_of
from adbench.errors import BadImage, UnitTimeout


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (DataError("no image"), "failed", "no image"),
        (UnitTimeout("too long"), "timeout", "too long"),
        (MemoryError("9 TiB\nmore"), "out-of-memory", "out of memory on cpu (9 TiB); use a smaller"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "out-of-memory", "DefaultCPUAllocator"),
        (KeyError("x"), "failed", "adbench raised KeyError: 'x'"),
        (SystemExit(0), "failed", "adbench raised SystemExit: 0"),
        (DataError("a" * 10**6), "failed", "(1,000,000 characters)"),
        (DataError("\ud800\x1b"), "failed", "\\ud800\\x1b"),
    ],
)
def test_every_error_has_a_status_and_words(error, status, words):
    failure = failure_of(error, "cpu")
    assert failure.status == status
    assert words in failure.reason
    assert len(failure.reason) < 1700


def test_a_crash_keeps_its_traceback_and_a_mistake_has_none():
    cause = ValueError("inside")
    crash = ComponentCrash("bank 'x' raised")
    crash.__cause__ = cause
    assert "ValueError: inside" in failure_of(crash, "cpu").trace
    assert failure_of(DataError("no"), "cpu").trace == ""
    assert failure_of(BadImage("a.png", "is empty"), "cpu").reason.endswith(
        "remove it, or leave such files out with --skip-bad"
    )
    assert "KeyError" in failure_of(KeyError("x"), "cpu").trace
