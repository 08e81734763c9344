import time

import numpy as np
import pytest

from adbench import Memo, UnitTimeout
from adbench.engine.clock import Clock, PeakMemory, deadline


def test_times_add_up_by_name():
    clock = Clock("cpu")
    for _ in range(2):
        with clock.measure("a"):
            time.sleep(0.01)
    assert clock.seconds["a"] >= 0.02


def test_recalled_work_takes_as_long_as_it_did():
    memo = Memo()
    clock = Clock("cpu", memo)
    with clock.measure("a"):
        memo.charge(7)
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
