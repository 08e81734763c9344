"""Executor `process`. What its workers do is in a module that is written on the spot, for them to import."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from filelock import FileLock

from adbench import UsageError
from adbench.builtin import processes, worker
from adbench.builtin.processes import Processes
from adbench.executor import Ending, Job
from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

DEEDS = """
import ctypes, os, sys, time
from pathlib import Path

from filelock import FileLock

from adbench import UnknownName


def do(order):
    deed, _, rest = order.partition(" ")
    return globals()[deed](rest)


def echo(text):
    return text


def leave(status):
    os._exit(int(status))


def kill(number):
    os.kill(os.getpid(), int(number))


def hang(_):
    ctypes.PyDLL(None).sleep(1000)  # inside C code that lets no Python run


def hold(folder):
    with FileLock(Path(folder, f"{os.getpid()}.lock")):
        Path(folder, f"{os.getpid()}.pid").touch()
        time.sleep(1000)


def meet_a_holder(folder):
    while True:
        for path in Path(folder).glob("*.pid"):
            return path.stem
        time.sleep(0.01)


def fail(_):
    raise UnknownName("scorer", "knm", ["knn"])  # it pickles, and does not unpickle


def meet(folder):
    share = f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ['OMP_NUM_THREADS']} {'torch' in sys.modules}"
    Path(folder, str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.01)
    return share
"""


@pytest.fixture
def do(tmp_path, monkeypatch):
    (tmp_path / "deeds.py").write_text(DEEDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deeds", raising=False)
    return importlib.import_module("deeds").do


def endings(do, orders, *, workers=2, limit=None):
    jobs = [Job(order, order, limit) for order in orders]
    found = list(Processes(workers=workers).run(do, jobs))
    assert sorted(ending.job.title for ending in found) == sorted(orders)
    return {ending.job.title: ending for ending in found}


@parametrize_with_checks([Processes])
def test_conforms(check):
    check()


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("kill 9", "its process was killed (signal 9; perhaps the system ran out of memory)"),
        ("kill 11", "its process was killed (signal 11)"),
        ("leave 3", "its process ended by itself (status 3)"),
        ("leave 0", "its process ended by itself (status 0)"),
        ("fail", "it raised UnknownName: unknown scorer 'knm'; did you mean 'knn'?"),
    ],
)
def test_a_death_costs_its_own_job_only(do, order, why):
    ended = endings(do, [order, "echo a", "echo b"])
    assert ended[order] == Ending(Job(order, order), None, why)
    assert [ended[f"echo {text}"].answer for text in "ab"] == ["a", "b"]


def test_a_hanging_job_is_killed_at_its_limit(do):
    ended = endings(do, ["hang", "echo a"], workers=1, limit=1)
    assert ended["hang"] == Ending(Job("hang", "hang", 1), None, "it was killed after 1 seconds", timeout=True)
    assert ended["echo a"].answer == "a"


def test_a_worker_that_cannot_import_the_work(do, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[1:])  # what workers are given to find modules in
    (ending,) = Processes(workers=1).run(do, [Job("a", "echo a")])
    assert (ending.answer, ending.lost) == (None, "it raised ModuleNotFoundError: No module named 'deeds'")


def test_workers_that_cannot_even_begin(do, monkeypatch):
    monkeypatch.setattr(worker, "settle", len)  # called with two arguments
    jobs = [Job(text, text) for text in "abc"]
    found = list(Processes(workers=2).run(do, jobs))
    assert {ending.lost for ending in found} == {"its process died before it could begin"}
    assert sorted(ending.job.title for ending in found) == ["a", "b", "c"]


@pytest.mark.parametrize("work", [lambda order: order, "text", DEEDS.join])
def test_work_that_no_other_process_could_find(work):
    with pytest.raises(UsageError, match="move it to the top of a module"):
        Processes().run(work, [])


def test_each_worker_has_a_gpu_and_its_share_of_the_cores(do, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    monkeypatch.setattr(processes, "_cores", lambda: 6)
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    before, after = ([f"meet {tmp_path / when}"] * 2 for when in ("before", "after"))
    jobs = [Job(order, order) for order in (*before, "kill 9", *after)]
    found = [ending.answer for ending in Processes().run(do, jobs)]
    expected = ["3 3 False", "GPU-5 3 False"]
    assert sorted(found, key=str) == sorted([*expected, None, *expected], key=str)


@pytest.mark.parametrize(
    ("workers", "visible", "cores", "shares"),
    [
        (0, "", 1, [(1, None)]),
        (0, "-1", 2, [(1, None), (1, None)]),
        (0, "", 16, [(4, None)] * 4),
        (1, "", 16, [(16, None)]),
        (3, "0,1", 2, [(1, "0"), (1, "1"), (1, "0")]),
        (0, "2, 0,-1,1", 8, [(4, "2"), (4, "0")]),
    ],
)
def test_shares(monkeypatch, workers, visible, cores, shares):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(processes, "_cores", lambda: cores)
    assert processes._shares(workers) == [worker.Share(*share) for share in shares]


SCRIPT = """
import sys
from adbench.executor import Job
from adbench.builtin.processes import Processes
import deeds

if __name__ == "__main__":
    for _ in Processes(workers=2).run(deeds.do, [Job(str(n), "hold " + sys.argv[1]) for n in range(3)]):
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(do, tmp_path, number):
    (tmp_path / "held").mkdir()
    (tmp_path / "script.py").write_text(dedent(SCRIPT))
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "held"],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: None if number == signal.SIGKILL else signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
    )  # SIGINT is ignored where a shell runs the tests in the background
    workers = wait_for_two(tmp_path / "held")
    parent.send_signal(number)
    assert parent.wait(timeout=30) != 0
    for pid in workers:
        FileLock(tmp_path / "held" / f"{pid}.lock").acquire(timeout=30)  # the dead hold nothing


def wait_for_two(folder):
    pids = []
    while len(pids) < 2:
        pids = [path.stem for path in folder.glob("*.pid")]
    return pids


def test_a_closed_iterator_stops_the_workers(do, tmp_path):
    running = Processes(workers=2).run(do, [Job("hold", f"hold {tmp_path}"), Job("meet", f"meet_a_holder {tmp_path}")])
    holder = next(running).answer
    running.close()
    FileLock(tmp_path / f"{holder}.lock").acquire(timeout=0)  # the dead hold nothing
