"""The executor on real clusters of this machine: one of two nodes with a core each, and one that it starts itself."""

from __future__ import annotations

import importlib
import os
import random
import socket
import subprocess
import sys
import threading

import pytest
import torch
from adbench_ray import connection
from adbench_ray.executor import Ray, answer

from adbench import UsageError
from adbench.executor import Ending, Job

pytestmark = pytest.mark.slow

DEEDS = """
import ctypes, os, signal, time
from pathlib import Path

from adbench import UnknownName


def do(order):
    deed, _, rest = order.partition(" ")
    return globals()[deed](rest)


def echo(text):
    return text


def hold(path):
    Path(path).write_text(str(os.getpid()))
    Path(path).rename(path + ".held")
    time.sleep(1000)


def kill_holder(path):
    while not Path(path + ".held").exists():
        time.sleep(0.01)
    os.kill(int(Path(path + ".held").read_text()), signal.SIGKILL)
    return "killed"


def hang(_):
    ctypes.PyDLL(None).sleep(1000)  # inside C code that lets no Python run


def fail(_):
    raise UnknownName("scorer", "knm", ["knn"])  # it pickles, and does not unpickle
"""


@pytest.fixture(scope="module")
def deeds(tmp_path_factory):
    """A module that the workers can import too: they get PYTHONPATH from whoever starts the cluster."""
    folder = tmp_path_factory.mktemp("deeds")
    (folder / "ray_deeds.py").write_text(DEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        yield importlib.import_module("ray_deeds")


@pytest.fixture(scope="module")
def address(deeds):
    """A cluster of two nodes that was there before."""
    connection._ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def endings(executor, work, orders, limit=None):
    jobs = [Job(order, order, limit) for order in orders]
    found = list(executor.run(work, jobs))
    assert sorted(ending.job.title for ending in found) == sorted(orders)
    return {ending.job.title: ending for ending in found}


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_job_only(address, deeds, tmp_path, capfd):
    orders = [f"hold {tmp_path / 'pid'}", f"kill_holder {tmp_path / 'pid'}", *(f"echo {n}" for n in range(4))]
    ended = endings(Ray(address=address), deeds.do, orders)
    lost = ended.pop(orders[0])
    assert (lost.answer, lost.timeout) == (None, False)
    assert lost.lost == "its process was killed or crashed; perhaps its machine ran out of memory"
    assert [ending.answer for ending in ended.values()].count("killed") == 1
    assert {ending.answer for ending in ended.values()} == {"killed", "0", "1", "2", "3"}
    printed = capfd.readouterr()
    assert printed.err == ""
    assert [line for line in printed.out.splitlines() if "(raylet)" not in line] == []  # Ray's own, if it is in time


@pytest.mark.slow
def test_a_hanging_job_is_killed_at_its_limit_and_waiting_does_not_count(address, deeds):
    orders = ["hang 1", "hang 2", "hang 3", "echo a"]  # more than there are cores
    ended = endings(Ray(address=address), deeds.do, orders, limit=2)
    assert ended.pop("echo a").answer == "a"
    assert all(
        ending == Ending(ending.job, None, "it was killed after 2 seconds", timeout=True) for ending in ended.values()
    )


def test_a_job_has_as_many_threads_as_cores_whatever_the_environment_names(monkeypatch):
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    try:
        begun, ended = answer(lambda _: f"{torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}", "", before + 1)
    finally:
        torch.set_num_threads(before)
    assert (begun, ended) == ((None, ""), (f"{before + 1} {before + 1}", ""))


@pytest.mark.slow
def test_what_is_raised_comes_back_in_words(address, deeds):
    ended = endings(Ray(address=address), deeds.do, ["fail", "echo a"])
    assert ended["fail"].lost == "it raised UnknownName: unknown scorer 'knm'; did you mean 'knn'?"


@pytest.mark.slow
def test_a_module_that_the_workers_do_not_have(address, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def do(order):\n    return order\n")
    monkeypatch.syspath_prepend(tmp_path)
    (ending,) = Ray(address=address).run(importlib.import_module("only_here").do, [Job("a", "a")])
    assert ending.answer is None
    assert "No module named 'only_here'" in ending.lost


@pytest.mark.slow
def test_a_closed_iterator_cancels_and_leaves_the_cluster_alone(address, deeds, tmp_path):
    path = tmp_path / "pid"
    running = Ray(address=address).run(deeds.do, [Job("hold", f"hold {path}"), Job("echo", "echo a")])
    assert next(running).answer == "a"
    running.close()
    assert endings(Ray(address=address), deeds.do, ["echo b", "echo c"])["echo b"].answer == "b"


@pytest.mark.slow
def test_work_that_cannot_be_sent(address):
    lock = threading.Lock()
    with pytest.raises(UsageError, match="move it to the top of a module"):
        next(Ray(address=address).run(lambda order: str(lock) + order, [Job("a", "a")]))


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{"num_gpus": 1}, {"num_cpus": 2}])
def test_a_job_that_no_machine_is_large_enough_for(address, deeds, asked):
    with pytest.raises(UsageError, match="no machine of the cluster has the num_cpus"):
        next(Ray(address=address, **asked).run(deeds.do, [Job("a", "echo a")]))


@pytest.mark.slow
def test_a_cluster_of_its_own_ends_with_the_run(deeds):
    drawn = random.getstate()
    assert endings(Ray(), deeds.do, ["echo a"])["echo a"].answer == "a"
    assert random.getstate() == drawn
    import ray

    assert not ray.is_initialized()


def test_nobody_at_home():
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"{address}.* refused.*ray start --head.*address=local"):
            next(Ray(address=address).run(str, [Job("a", "a")]))


def test_somebody_else_at_home(monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 3.0)
    deaf = socket.create_server(("127.0.0.1", 0))
    with deaf, pytest.raises(UsageError, match="nothing answered within 3 seconds"):
        next(Ray(address=f"127.0.0.1:{deaf.getsockname()[1]}").run(str, [Job("a", "a")]))


def test_no_cluster_runs_here(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stderr="...\nConnectionError: Could not find any.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UsageError, match=r"'auto' \(ConnectionError: Could not find.*ray start --head"):
        next(Ray(address="auto").run(str, [Job("a", "a")]))


@pytest.mark.parametrize("address", ["", "head", "head:port", "ray://head:10001", "a b:1"])
def test_an_address_that_is_none(address):
    with pytest.raises(UsageError, match="'address' of executor 'ray'.* write auto, local, or host:port"):
        Ray(address=address)


def test_without_jobs_nobody_is_asked():
    assert list(Ray(address="nowhere.invalid:1").run(str, [])) == []


def test_the_plugin_does_not_import_ray():
    code = "import sys, adbench_ray.executor; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
