import subprocess
import sys
import threading

import pytest

from adbench.engine.features.read_ahead import read_ahead


def test_results_come_in_order_and_not_too_early():
    started = []

    def work(item):
        started.append(item)
        return item * 2

    results = read_ahead(work, range(100), workers=2, ahead=3)
    assert next(results) == 0
    assert max(started) <= 5
    assert list(results) == [2 * item for item in range(1, 100)]


def test_what_readers_import_is_imported_before_they_start():
    readers = []
    assert list(read_ahead(lambda _: readers.append(threading.current_thread()), range(8), 2, 2)) == [None] * 8
    assert readers[0] is threading.main_thread()
    assert threading.main_thread() not in readers[1:]


@pytest.mark.slow
def test_readers_take_no_thread_from_the_backbone():
    code = (
        "import torch\n"
        "from adbench.engine.features.read_ahead import read_ahead\n"
        "torch.set_num_threads(3)\n"
        "assert list(read_ahead(lambda _: torch.get_num_threads(), range(5), 2, 2)) == [1] * 5\n"
        "assert torch.get_num_threads() == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_readers_take_no_thread_from_a_process_that_never_computed():
    read = "from adbench.engine.features.read_ahead import read_ahead; list(read_ahead(str, range(4), 2, 2)); "
    numbers = {
        subprocess.run(
            [sys.executable, "-c", f"import torch; {before}print(torch.get_num_threads())"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for before in ("", read)
    }
    assert len(numbers) == 1, numbers
