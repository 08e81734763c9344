import pytest
import torch

from adbench.api.networks.threads import one_thread, usual_threads


@pytest.fixture(autouse=True)
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_small_work_has_one_thread_and_large_work_in_it_all_of_them():
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1
        with usual_threads():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with usual_threads():
        assert torch.get_num_threads() == 3


def test_the_number_comes_back_after_an_error():
    with pytest.raises(KeyError), one_thread(), usual_threads():
        raise KeyError
    assert torch.get_num_threads() == 3
