import os
import threading

import pytest
import torch

from adbench.api.networks.threads import one_thread, pieces, side_by_side


@pytest.fixture(autouse=True)
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def number_and_name():
    return torch.get_num_threads(), threading.current_thread().name


def test_small_work_has_one_thread_and_the_number_comes_back():
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 3


def test_works_are_done_side_by_side_by_one_thread_of_torch_each():
    together = threading.Barrier(3, timeout=10)

    def work():
        together.wait()  # broken unless three threads are here at once
        return number_and_name()

    with one_thread():
        found = side_by_side([work] * 3)
    assert [number for number, _ in found] == [1, 1, 1]
    assert len({name for _, name in found}) == 3
    assert found[0][1] == threading.current_thread().name
    assert torch.get_num_threads() == 3


def test_where_torch_shares_work_itself_works_come_one_after_the_other():
    assert side_by_side([number_and_name] * 2) == [(3, threading.current_thread().name)] * 2


def test_an_error_of_any_work_comes_when_all_have_ended():
    ended = []

    def fail():
        raise KeyError("x")

    for works in ([fail, lambda: ended.append(1)], [lambda: ended.append(1), fail]):
        with pytest.raises(KeyError, match="x"), one_thread():
            side_by_side(works)
    assert ended == [1, 1]


def test_pieces_are_all_items_in_order_and_no_more_than_there_are_threads():
    assert len(pieces(1000, 9)) == 1
    with one_thread():
        parts = pieces(1000, 9)
        assert len(parts) == 3
        assert [one for part in parts for one in range(1000)[part]] == list(range(1000))
        assert len(pieces(1000, 2)) == 2
        assert len(pieces(1000, 0)) == len(pieces(1, 9)) == len(pieces(0, 9)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_copy_of_the_process_has_threads_of_its_own():
    with one_thread():
        side_by_side([number_and_name] * 2)
        child = os.fork()
        if not child:
            os._exit(0 if len(side_by_side([number_and_name] * 2)) == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
