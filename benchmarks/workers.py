"""Two workers on one machine against one process: the same units by the clock, and how much of the cores they use.

    python benchmarks/workers.py --data ../shared/data/mvtec-mini/hazelnut     five minutes on two cores
    python benchmarks/workers.py --ways process ray --rounds 2                 some of the ways, the best of two rounds

The nine methods of `grid.py` on copies of one category, so that all jobs take equally long; nothing is cached, no
pictures are drawn, and thresholds are left out. The ways: one process with one thread, one process with a thread a
core, a process a core (`--executor process`), a Ray worker a core (`--executor ray`, its cluster starts and ends with
the run), and a command for each shard of the suite, all at once. Times are by the clock with every start and import.

The efficiency of a way is the time of one process with one thread, divided by the cores and by the way's own time: 1 if
each core did as much as the only one. The last column compares with one process with a thread a core. The largest
difference of a figure from those of the first way shows that all computed the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grid import BANKS, COMMON, ROOT, SCORERS, figures, furthest, say

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Way(NamedTuple):
    """How the units are run.

    Attributes:
        title: for the table.
        threads: of each command.
        commands: the additional words of each command; all run at once.
    """

    title: str
    threads: int
    commands: Sequence[Sequence[str]]


WAYS = {
    "alone": Way("one process, one thread", 1, [[]]),
    "threads": Way(f"one process, {CORES} threads", CORES, [[]]),
    "process": Way(f"`--executor process:workers={CORES}`", CORES, [["--executor", f"process:workers={CORES}"]]),
    "ray": Way("`--executor ray`, one core a job", CORES, [["--executor", "ray"]]),
    "shards": Way(
        f"{CORES} commands, `--shard 1/{CORES}` ...", 1, [["--shard", f"{n + 1}/{CORES}"] for n in range(CORES)]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/mvtec-mini/hazelnut", help="a category")
    parser.add_argument("--copies", type=int, default=2 * CORES, help="of the category: as many jobs")
    parser.add_argument("--rounds", type=int, default=1, help="of all ways in turns; the best of each counts")
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS), default=list(WAYS))
    given = parser.parse_args()
    names = ["alone", "threads", *(name for name in given.ways if name not in {"alone", "threads"})]
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "data")
        for number in range(given.copies):
            shutil.copytree(given.data, data / f"copy{number}")
        spent = {name: float("inf") for name in names}
        found: dict[str, list[dict[str, Any]]] = {}
        for turn in range(given.rounds):
            for name in names:
                seconds, found[name] = timed(WAYS[name], data, Path(scratch, f"{name}{turn}"))
                spent[name] = min(spent[name], seconds)
    units = len(found["alone"])
    print(f"{given.copies} jobs, {units} units, {CORES} cores, load {os.getloadavg()[0]:.1f} at the end")
    say("way", "s", "efficiency of the cores", f"{CORES} threads / way", "largest difference of a figure")
    say("---", "---:", "---:", "---:", "---:")
    for name in names:
        efficiency = "" if name == "alone" else f"{spent['alone'] / CORES / spent[name]:.2f}"
        apart = furthest(figures(found["alone"]), figures(found[name]))
        say(
            WAYS[name].title, f"{spent[name]:.1f}", efficiency, f"{spent['threads'] / spent[name]:.2f}x", f"{apart:.1e}"
        )


def timed(way: Way, data: Path, out: Path) -> tuple[float, list[dict[str, Any]]]:
    """Seconds by the clock until the last command of a way has ended, and the records of all."""
    axes = [word for bank in BANKS for word in ("--bank", bank)]
    axes += [word for scorer in SCORERS for word in ("--scorer", scorer)]
    words = ["run", *COMMON, "--no-figures", "--all", *axes, "--cache", "none", "--data", str(data.resolve())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(way.threads)}
    begin = time.perf_counter()
    commands = [
        subprocess.Popen(
            [adbench(), *words, "--out", str(out / str(number)), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        for number, more in enumerate(way.commands)
    ]
    printed = [command.communicate() for command in commands]
    seconds = time.perf_counter() - begin
    for command, (_, errors) in zip(commands, printed, strict=True):
        if command.returncode:
            sys.exit(f"{way.title} failed with {command.returncode}:\n{errors[-2000:]}")
    return seconds, [json.loads(line) for lines, _ in printed for line in lines.splitlines()]


def adbench() -> str:
    command = shutil.which("adbench", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit(f"adbench is not installed beside {sys.executable}; run this with the python of the .venv")
    return command


if __name__ == "__main__":
    main()
