import subprocess
import sys
import threading

import pytest
import torch

from adbench.engine.features.read_ahead import done_behind, read_ahead


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


def test_works_are_done_in_order_while_the_next_one_is_found():
    found, done = threading.Event(), []

    def work(number):
        assert number or found.wait(10)  # the first one ends when the second one is found
        done.append((number, torch.get_num_threads(), threading.current_thread()))
        return number

    def works():
        yield lambda: work(0)
        found.set()
        yield from (lambda number=number: work(number) for number in range(1, 5))

    assert list(done_behind(works())) == [0, 1, 2, 3, 4]
    assert [number for number, *_ in done] == [0, 1, 2, 3, 4]
    assert {threads for _, threads, _ in done} == {1}
    assert len({thread for *_, thread in done} | {threading.main_thread()}) == 2
    assert list(done_behind(())) == []


def test_errors_of_works_and_of_finding_them_come_out():
    def works():
        yield lambda: 1
        yield lambda: 1 / 0
        yield lambda: 3

    results = done_behind(works())
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)

    def lost():
        yield lambda: 1
        raise KeyError

    results = done_behind(lost())
    assert next(results) == 1
    with pytest.raises(KeyError):
        next(results)
