from __future__ import annotations

import tempfile

import numpy as np
import pytest

from adbench.engine.filed import Filed

ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((1, 1), np.float32), np.arange(4, dtype=np.float32)]


@pytest.fixture
def file():
    with tempfile.TemporaryFile() as opened:
        yield opened


def test_arrays_of_any_shape_come_back_in_any_order(file):
    filed = Filed(file)
    for array in ARRAYS:
        filed.append(array)
        np.testing.assert_array_equal(filed[0], ARRAYS[0])  # reading between writing
    assert len(filed) == 3
    for index in (2, 0, 1, -1):
        np.testing.assert_array_equal(filed[index], ARRAYS[index])
    assert [array.shape for array in filed[1:]] == [(1, 1), (4,)]
    assert [array.shape for array in filed] == [(2, 3), (1, 1), (4,)]
    with pytest.raises(IndexError):
        filed[3]


def test_an_array_that_was_read_is_the_readers_own(file):
    filed = Filed(file)
    filed.append(ARRAYS[0])
    filed[0][:] = 7
    np.testing.assert_array_equal(filed[0], ARRAYS[0])


def test_arrays_may_begin_anywhere_in_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"header" + b"".join(array.tobytes() for array in ARRAYS))
    filed = Filed((tmp_path / "file").open("rb"), [array.shape for array in ARRAYS], start=6)
    for found, array in zip(filed, ARRAYS, strict=True):
        np.testing.assert_array_equal(found, array)


def test_the_file_is_closed_when_nobody_reads_any_more(file):
    filed = Filed(file)
    del filed
    assert file.closed
