"""The executor `process`: jobs in several processes of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, takewhile
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from adbench import Field, UsageError
from adbench.executor import Ending, Executor, Job, Work

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pebble import ProcessPool

    from adbench.builtin.worker import Share


class Processes(Executor):
    """In several processes of this machine, each with its share of the cores, or with a GPU of its own.

    A process that dies loses the job that it was at, and is replaced. Where CUDA_VISIBLE_DEVICES is set, it says which
    GPUs there are; with more workers than GPUs, they share them.
    """

    name = "process"

    class Config(Executor.Config):
        workers: int = Field(0, ge=0, description="processes; 0: one for each GPU, or else as many as suit the cores")

    config: Config

    def run(self, work: Work, jobs: Iterable[Job]) -> Generator[Ending, None, None]:
        return _endings(self._name_of(work), iter(jobs), _shares(self.config.workers))

    def _name_of(self, work: Work) -> str:
        """The name by which another process finds the function."""
        name = f"{getattr(work, '__module__', '')}:{getattr(work, '__qualname__', '')}"
        try:
            found: object = resolve_name(name)
        except (ValueError, ImportError, AttributeError):
            found = None
        if found is not work:
            raise UsageError(f"{self.title} cannot hand {work!r} to another process; move it to the top of a module")
        return name


def _shares(workers: int) -> list[Share]:
    """The shares of the workers."""
    from adbench.builtin.worker import Share

    gpus, cores = _gpus(), _cores()
    workers = workers or len(gpus) or min(cores, max(2, cores // 4))
    threads = max(1, cores // workers)
    return [Share(threads, gpus[slot % len(gpus)] if gpus else None) for slot in range(workers)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """CUDA's names of the GPUs that this process may use, without loading torch, which takes seconds and GPU memory."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return list(takewhile(lambda gpu: gpu not in ("", "-1"), (gpu.strip() for gpu in named.split(","))))
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def _endings(work: str, jobs: Iterator[Job], shares: Sequence[Share]) -> Generator[Ending, None, None]:
    from filelock import FileLock

    from adbench.builtin.worker import clear_up

    with TemporaryDirectory(prefix="adbench-slots-", ignore_cleanup_errors=True) as folder:
        owner = FileLock(Path(folder, "owner.lock"))  # tells whoever sweeps that the folder has an owner
        owner.acquire()
        for job in jobs:  # a pool that broke is followed by another
            with _pool(Path(folder), shares) as pool:
                for ending in _through(pool, work, chain([job], jobs), len(shares)):
                    if ending.answer is None:
                        clear_up(Path(folder))
                    yield ending


@contextmanager
def _pool(folder: Path, shares: Sequence[Share]) -> Iterator[ProcessPool]:
    """Workers that start with the first job, and are stopped at once at the end, whatever they are at."""
    from pebble import ProcessPool

    from adbench.builtin.worker import Spawning, clear_up, settle

    pool: Any = ProcessPool(len(shares), initializer=settle, initargs=(folder, shares), context=Spawning())
    try:
        yield pool
    finally:
        pool.stop()
        pool.join()
        clear_up(folder)


def _through(pool: ProcessPool, work: str, jobs: Iterator[Job], workers: int) -> Iterator[Ending]:
    """The endings of jobs, until the pool breaks because a worker dies before it starts."""
    from concurrent.futures import FIRST_COMPLETED, wait

    from adbench.builtin.worker import answer

    under_way: dict[Future[Any], Job] = {}
    while pool.active:
        for job in islice(jobs, workers - len(under_way)):
            under_way[pool.schedule(answer, (work, job.order), timeout=job.limit)] = job
        if not under_way:
            return
        done, _ = wait(under_way, timeout=1, return_when=FIRST_COMPLETED)
        yield from [_ending(under_way.pop(future), future) for future in done]
    yield from (Ending(job, None, "its process died before it could begin") for job in under_way.values())


def _ending(job: Job, future: Future[Any]) -> Ending:
    from concurrent.futures import TimeoutError as LimitReached
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    try:
        return Ending(job, *future.result())
    except LimitReached:
        return Ending(job, None, f"it was killed after {job.limit:g} seconds", timeout=True)
    except ProcessExpired as death:
        return Ending(job, None, _how_it_died(death.exitcode))
    except BrokenProcessPool:
        return Ending(job, None, "its process died before it could begin")


def _how_it_died(code: int) -> str:
    from adbench.builtin.worker import ENDED

    if code >= 0:
        return f"its process ended by itself (status {code % ENDED})"
    hint = "; perhaps the system ran out of memory" if -code == signal.SIGKILL else ""
    return f"its process was killed (signal {-code}{hint})"
