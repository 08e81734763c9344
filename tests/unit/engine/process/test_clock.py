import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from adbench.api.search.shared_results import SharedResults
from adbench.engine.process import clock as module
from adbench.engine.process.clock import Clock, PeakMemory, deadline
from adbench.errors import UnitTimeout


def test_times_add_up_by_name():
    clock = Clock("cpu")
    for _ in range(2):
        with clock.measure("a"):
            time.sleep(0.01)
    assert clock.seconds["a"] >= 0.02


def test_a_shared_result_takes_as_long_as_it_did():
    shared = SharedResults()
    clock = Clock("cpu", shared)
    with clock.measure("a"):
        shared.charge(7)
    assert 7 <= clock.seconds["a"] < 8


def test_quantiles_count_images_and_not_batches():
    clock = Clock("cpu")
    clock.per_image_ms = [(1.0, 8), (5.0, 1)]
    assert clock.quantile_ms(0.5) == 1.0
    assert clock.quantile_ms(0.95) == 5.0
    assert Clock("cpu").quantile_ms(0.5) == 0.0


def test_peak_memory_sees_what_was_freed():
    memory = PeakMemory("cpu")
    before = memory.process_mb()
    np.ones(1 << 27, dtype=np.uint8)  # 128 MB, too much for memory that the process holds already; gone at once
    assert memory.process_mb() >= before + 100
    assert memory.gpu_mb() is None


def test_a_deadline_stops_what_hangs():
    with pytest.raises(UnitTimeout, match="after 0.05 s"), deadline(0.05):
        while True:
            time.sleep(0.001)


def test_no_deadline_is_no_deadline():
    with deadline(None):
        time.sleep(0.001)


def swallow():
    try:
        time.sleep(10)
    except UnitTimeout:
        return


def convert():
    try:
        time.sleep(10)
    except UnitTimeout:
        raise KeyError("mine") from None


@pytest.mark.parametrize("hide", [swallow, convert])
def test_a_deadline_that_was_hidden_counts(hide):
    with pytest.raises(UnitTimeout, match=r"after 0.05 s"), deadline(0.05):
        hide()


def test_an_alarm_comes_again(monkeypatch):
    monkeypatch.setattr(module, "INSISTENCE", 0.05)

    def twice():
        swallow()
        swallow()
        time.sleep(10)

    started = time.monotonic()
    with pytest.raises(UnitTimeout), deadline(0.05):
        twice()
    assert time.monotonic() - started < 5


def test_an_error_in_time_is_that_error():
    with pytest.raises(KeyError), deadline(10):
        raise KeyError


def test_time_is_counted_where_no_alarm_works():
    def late():
        with pytest.raises(UnitTimeout), deadline(0.01):
            time.sleep(0.05)
        message.append(True)

    message = []
    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    assert message == [True]


DOOM = """
import ctypes, signal, sys, time
from adbench.engine.process import clock
clock.GRACE = 0.2
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
with open(sys.argv[1], "wb") as file, clock.deadline(0.2, file):
    {}
"""


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["ctypes.PyDLL(None).sleep(60)", "time.sleep(60)"])
def test_a_worker_ends_whatever_it_does(tmp_path, deed):
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", DOOM.format(deed), str(tmp_path / "stack")], check=False, timeout=60)
    assert done.returncode == 1
    assert time.monotonic() - started < 30
    assert "most recent call first" in (tmp_path / "stack").read_text()
