"""Clocks, memory and detectors that the benchmarks of detectors share.

Every row has two times: wall time, which counts what other programs do on the same cores, and processor time of all
threads of the process, which hardly does. Works that are compared run in turns, and the median counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from adbench import Detector

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data/mvtec-mini"
ADBENCH = (sys.executable, "-c", "from adbench.cli import main; main()")
PEERS = ROOT / ".venv-peers/bin/python"


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float

    def __truediv__(self, number: float) -> Cost:
        return Cost(self.wall / number, self.cpu / number)


class Ended(NamedTuple):
    """A process that has ended: seconds, and megabytes of its highest memory."""

    wall: float
    cpu: float
    peak: float


def parser(about: str | None, **numbers: int) -> argparse.ArgumentParser:
    """The options of a benchmark: the data, and numbers by name."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=DATA, help="two categories in MVTec AD's layout")
    for name, number in numbers.items():
        made.add_argument(f"--{name}", type=int, default=number)
    return made


def cost_of(work: Callable[[], Any]) -> Cost:
    """What a work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(rounds: int, works: Mapping[str, Callable[[], Any]]) -> dict[str, Cost]:
    """The medians of works that run in turns; one round before these warms them up."""
    found: dict[str, list[Cost]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            cost = cost_of(work)
            if turn:
                found[name].append(cost)
    return {name: median(costs) for name, costs in found.items()}


def median(costs: Iterable[Cost]) -> Cost:
    """The medians of wall and of processor time."""
    return Cost(*(statistics.median(numbers) for numbers in zip(*costs, strict=True)))


def in_own_process(command: Sequence[object]) -> Ended:
    """Run a command to its end.

    Raises:
        CalledProcessError: it ended with another code than 0.
    """
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, stderr=said)
    return Ended(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def memory(process: int | str = "self") -> float:
    """Megabytes that a process holds now."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def processor_time(process: int) -> float:
    """Seconds of processor time that another process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pngs(folder: Path) -> list[Path]:
    """All images below a folder, masks included: a detector scores any image."""
    return sorted(folder.rglob("*.png"))


def copies(images: Sequence[Path], count: int, folder: Path) -> Path:
    """A folder of so many files, made of links to a few images in turn."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:06}.png").symlink_to(images[number % len(images)].resolve())
    return folder


def fitted(data: Path, images: int = 38, **parts: Any) -> Detector:
    """PatchCore-lite that has learned from hazelnuts."""
    from adbench import Detector

    return Detector("patchcore-lite", **parts).fit(pngs(data / "hazelnut/train/good")[:images])


def told_load() -> str:
    """The number of threads, and how busy the machine is."""
    import torch

    return f"{torch.get_num_threads()} threads of torch; load of the machine {os.getloadavg()[0]:.1f}"
