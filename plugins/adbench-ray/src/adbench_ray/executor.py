"""The executor that runs jobs on a Ray cluster."""

from __future__ import annotations

import math
import pickle
import re
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import field_validator

from adbench import Field, UsageError
from adbench.executor import Ending, Executor, Job, Work, answer_or_reason, use_threads
from adbench_ray.connection import connected


class Ray(Executor):
    """Each job is one task on a Ray cluster; Ray waits until a machine has room for it.

    The machines need what this one has: adbench, the same plugins, and the data under the same paths.
    """

    name = "ray"

    class Config(Executor.Config):
        address: str = Field(
            "local",
            description="of the cluster, host:port; auto: the one that runs here; local: start one here for the run",
        )
        num_cpus: float = Field(1, ge=0, description="cores that a job takes up, and threads that it uses")
        num_gpus: float = Field(0, ge=0, description="GPUs that a job takes up; without any it sees none")

        @field_validator("address")
        @classmethod
        def _is_an_address(cls, value: str) -> str:
            if not re.fullmatch(r"auto|local|[^\s:/]+:\d+", value):
                raise ValueError("write auto, local, or host:port such as 10.0.0.1:6379")
            return value

    config: Config

    def run(self, work: Work, jobs: Iterable[Job]) -> Generator[Ending, None, None]:
        jobs = list(jobs)
        if not jobs:
            return
        with connected(self.config.address) as ray:
            self._require_room(ray)
            yield from _endings(ray, self._begin(ray, work, jobs))

    def _require_room(self, ray: Any) -> None:
        """Refuse a task that no machine is large enough for: it would wait for ever."""
        wanted = {"CPU": self.config.num_cpus, "GPU": self.config.num_gpus}
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(machine.get(kind, 0) >= count for kind, count in wanted.items()) for machine in machines):
            raise UsageError(
                f"{self.title}: no machine of the cluster has the num_cpus={self.config.num_cpus:g} and "
                f"num_gpus={self.config.num_gpus:g} that a job asks for; ask for less, or add a machine"
            )

    def _begin(self, ray: Any, work: Work, jobs: Iterable[Job]) -> list[RayTask]:
        """Submit all jobs to Ray."""
        needs = {"num_cpus": self.config.num_cpus, "num_gpus": self.config.num_gpus}
        task = ray.remote(max_retries=0, num_returns="streaming", **needs)(answer)
        threads = max(1, round(self.config.num_cpus))
        try:
            return [RayTask(job, task.remote(work, job.order, threads)) for job in jobs]
        except (TypeError, pickle.PicklingError) as error:
            raise UsageError(
                f"{self.title} cannot hand {work!r} to another process ({error}); move it to the top of a module"
            ) from None


@dataclass
class RayTask:
    """A job that was submitted to Ray.

    Attributes:
        stream: yields references to what `answer` yields.
        deadline: when it is to be killed, on this machine's clock; a job that waits for room has none yet.
    """

    job: Job
    stream: Any
    deadline: float = math.inf

    def begun(self) -> None:
        """Start the clock."""
        self.deadline = time.monotonic() + (self.job.limit or math.inf)


def answer(work: Work, order: str, threads: int) -> Iterator[tuple[str | None, str]]:
    """The work of a Ray worker: report the start, then the answer, or the reason why there is none."""
    use_threads(threads)  # Ray leaves the number alone where the environment of the run names one
    yield None, ""
    yield answer_or_reason(work, order)


def _endings(ray: Any, tasks: Iterable[RayTask]) -> Generator[Ending, None, None]:
    under_way = {task.stream: task for task in tasks}
    try:
        while under_way:
            patience = min(task.deadline for task in under_way.values()) - time.monotonic()
            timeout = None if patience == math.inf else max(0.0, patience)
            ready, _ = ray.wait(list(under_way), num_returns=1, timeout=timeout)
            for task in [under_way[stream] for stream in ready] or _overdue(under_way.values()):
                ending = _ending_of(ray, task) if ready else _killed(ray, task)
                if ending is not None:
                    del under_way[task.stream]
                    yield ending
    finally:
        for stream in under_way:
            ray.cancel(stream, force=True)


def _overdue(tasks: Iterable[RayTask]) -> list[RayTask]:
    return [task for task in tasks if task.deadline <= time.monotonic()]


def _killed(ray: Any, task: RayTask) -> Ending:
    ray.cancel(task.stream, force=True)
    return Ending(task.job, None, f"it was killed after {task.job.limit:g} seconds", timeout=True)


def _ending_of(ray: Any, task: RayTask) -> Ending | None:
    """The ending of a job; None if it has only begun."""
    try:
        found, lost = ray.get(next(task.stream))
    except ray.exceptions.OutOfMemoryError:
        return Ending(task.job, None, "its process was killed: its machine ran out of memory")
    except ray.exceptions.WorkerCrashedError:
        return Ending(task.job, None, "its process was killed or crashed; perhaps its machine ran out of memory")
    except ray.exceptions.RayError as error:
        return Ending(task.job, None, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
    if found is None and not lost:
        task.begun()
        return None
    return Ending(task.job, found, lost)
