from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from adbench import StorageError
from adbench.engine.store import array_file as module
from adbench.engine.store.array_file import BOOL, ArrayFile, Stored, file_state

ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((1, 1), np.float32), np.arange(4, dtype=np.float32)]


def filled(*arrays):
    made = ArrayFile()
    for array in arrays:
        made.append(array)
    return made


def test_arrays_of_any_shape_come_back_in_any_order():
    filed = ArrayFile()
    for array in ARRAYS:
        filed.append(array)
        np.testing.assert_array_equal(filed[0], ARRAYS[0])  # reading between writing
    assert len(filed) == 3
    for index in (2, 0, 1, -1):
        np.testing.assert_array_equal(filed[index], ARRAYS[index])
    assert [array.shape for array in filed[1:]] == [(1, 1), (4,)]
    assert [array.shape for array in filed] == [(2, 3), (1, 1), (4,)]
    assert filed.nbytes == 4 * 11
    with pytest.raises(IndexError):
        filed[3]


def test_an_array_that_was_read_is_the_readers_own():
    filed = filled(ARRAYS[0])
    filed[0][:] = 7
    np.testing.assert_array_equal(filed[0], ARRAYS[0])


def test_arrays_of_truth_values_take_a_byte_each():
    filed = ArrayFile(BOOL)
    filed.append(np.array([[True, False]]))
    assert (filed[0].dtype, filed[0].tolist(), filed.nbytes) == (bool, [[True, False]], 2)


def test_arrays_of_many_lie_apart_and_one_file_is_open():
    many = [filled(*(array + number for array in ARRAYS)) for number in range(50)]
    gc.collect()  # earlier tests' files would close in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    more = [filled(*(array + number for array in ARRAYS)) for number in range(50)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    for number, filed in enumerate((*many, *more)):
        for found, array in zip(filed, ARRAYS, strict=True):
            np.testing.assert_array_equal(found, array + number % 50)


def test_room_of_what_is_gone_is_used_again(monkeypatch):
    monkeypatch.setattr(module, "_current", [])
    gc.freeze()  # a collection then walks the objects of this test, not those of all tests before
    volume = module._volume()
    kept = filled(ARRAYS[0])
    for number in range(20):
        gone = filled(ARRAYS[0] + number, ARRAYS[2])
        del gone
        gc.collect()
    assert os.fstat(volume._descriptor).st_size == kept.nbytes + 4 * 6 + 4 * 4
    np.testing.assert_array_equal(kept[0], ARRAYS[0])
    del kept
    gc.collect()
    gc.unfreeze()
    assert os.fstat(volume._descriptor).st_size == 0


@pytest.mark.slow
def test_a_process_that_was_forked_off_disturbs_nobody():
    script = """
        import os
        import numpy as np
        from adbench.engine.store.array_file import ArrayFile

        def filled(number):
            made = ArrayFile()
            for _ in range(20):
                made.append(np.full((4, 4), number, np.float32))
            return made

        mine = filled(1)
        child = os.fork()
        if not child:
            theirs = filled(2)
            assert all((array == 1).all() for array in mine)
            del mine
            assert all((array == 2).all() for array in theirs)
            os._exit(0)
        more = filled(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all((array == 1).all() for array in mine) and all((array == 3).all() for array in more)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(b"header" + b"".join(array.tobytes() for array in ARRAYS))
    return tmp_path / "file"


def stored(path):
    return Stored(path, [array.shape for array in ARRAYS], start=6, state=file_state(path))


def test_arrays_may_begin_anywhere_in_a_file(path):
    for found, array in zip(stored(path), ARRAYS, strict=True):
        np.testing.assert_array_equal(found, array)


def test_a_file_is_open_only_while_it_is_read(path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    many = [stored(path) for _ in range(20)]
    assert [one[1].tolist() for one in many] == [[[0]]] * 20
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_has_become_another_is_refused(path):
    arrays = stored(path)
    content = path.read_bytes()
    (path.parent / "other").write_bytes(content)
    Path(path.parent / "other").replace(path)
    with pytest.raises(StorageError, match="another process has changed it"):
        arrays[0]
    arrays = stored(path)
    path.write_bytes(content[:-1])
    with pytest.raises(StorageError, match="changed it"):
        arrays[2]
    path.unlink()
    with pytest.raises(StorageError, match="No such file.*run again"):
        arrays[0]


@pytest.mark.slow
def test_a_closed_descriptor_costs_what_was_kept_and_no_file_of_others(tmp_path):
    kept = filled(ARRAYS[0])
    os.close(kept._volume._descriptor)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)  # takes the lowest free number, maybe that one
    os.write(other, b"of somebody else")
    with pytest.raises(StorageError, match="a component has closed their file"):
        kept[0]
    with pytest.raises(StorageError):
        kept.append(ARRAYS[1])
    np.testing.assert_array_equal(filled(ARRAYS[2])[0], ARRAYS[2])  # others go on, in a file of their own
    del kept
    gc.collect()
    assert (tmp_path / "other").read_bytes() == b"of somebody else"
    os.close(other)
