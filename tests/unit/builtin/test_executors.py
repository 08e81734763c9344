from __future__ import annotations

from adbench.builtin.executors import Inline


def test_results_come_in_order():
    assert list(Inline().run(lambda unit: unit * 2, [3, 1, 2])) == [6, 2, 4]


def test_a_unit_starts_when_its_result_is_wanted():
    started = []
    results = Inline().run(started.append, [1, 2, 3])
    assert started == []
    next(results)
    assert started == [1]
