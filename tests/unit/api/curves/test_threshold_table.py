from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.api.curves import threshold_table as module
from adbench.api.curves.threshold_table import Normals, Slice, keys_of, score_of
from adbench.api.curves.truth import Truth

floats = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(floats, min_size=1))
def test_keys_ascend_as_scores_fall_and_tell_the_score(values):
    scores = np.sort(np.array(values, dtype=np.float32))[::-1]
    keys = keys_of(scores)
    np.testing.assert_array_equal(np.diff(keys.astype(np.int64)) > 0, scores[1:] < scores[:-1])
    assert [score_of(key) for key in keys] == scores.tolist()


def test_both_zeros_have_one_key():
    assert len(set(keys_of(np.array([0.0, -0.0], dtype=np.float32)).tolist())) == 1


def some_slice(*rows: list[int], start: int = 0) -> Slice:
    """Each row is a map of one line, all of it one region."""
    taken = Slice(start)
    for row in rows:
        scores = np.array([[score_of(np.uint32(key)) for key in row]], dtype=np.float32)
        taken.add(scores, Truth.of(np.ones(scores.shape, dtype=bool)))
    return taken


def test_a_ladder_adds_equal_keys_up():
    table = some_slice([7, 3, 7], [3, 9]).table()
    assert table.keys.tolist() == [3, 7, 9]
    assert table.counts.tolist() == [2, 2, 1]
    assert table.weights.tolist() == pytest.approx([1 / 3 + 1 / 2, 2 / 3, 1 / 2])


@pytest.mark.parametrize("held", [1, 2, 5, 20])
def test_slices_take_turns_and_leave_nothing_out(monkeypatch, held):
    monkeypatch.setattr(module, "HELD_POSITIVES", held)
    rows = np.random.default_rng(0).integers(0, 12, (8, 10)).tolist()
    keys, counts, start = [], [], 0
    while start <= max(map(max, rows)):
        table = some_slice(*rows, start=start).table()
        keys += table.keys.tolist()
        counts += table.counts.tolist()
        start = keys[-1] + 1
    expected = np.unique(rows, return_counts=True)
    assert (keys, counts) == (expected[0].tolist(), expected[1].tolist())


def test_equal_keys_without_number_are_not_held(monkeypatch):
    monkeypatch.setattr(module, "HELD_POSITIVES", 4)
    taken = some_slice(*[[5, 5, 5]] * 100)
    assert sum(map(len, taken._held)) <= 4
    assert [column.tolist() for column in taken.table()] == [[5], [300], [pytest.approx(100)]]


@pytest.mark.parametrize("held", [1, 3, 100])
def test_normals_are_counted_from_the_start_to_the_last_rung(monkeypatch, held):
    monkeypatch.setattr(module, "HELD_NORMALS", held)
    normals = Normals(np.array([3, 5, 8], dtype=np.uint32), start=2)
    for keys in ([0, 1, 2, 3], [], [3, 4, 8, 9], [5, 1]):
        normals.add_keys(np.array(keys, dtype=np.uint32))
    lower, same = normals.counts()
    assert (lower.tolist(), same.tolist()) == ([1, 4, 5], [2, 1, 1])


def test_normals_of_a_map_are_all_but_the_defective_pixels():
    keys = np.array([[3, 5, 8], [3, 8, 1]], dtype=np.uint32)
    scores = np.array([[score_of(key) for key in row] for row in keys], dtype=np.float32)
    normals = Normals(keys_of(scores)[0])
    normals.add(scores, Truth.of(np.array([[0, 1, 0], [1, 0, 0]], dtype=bool)))
    lower, same = normals.counts()
    assert (lower.tolist(), same.tolist()) == ([1, 2, 2], [1, 0, 2])
