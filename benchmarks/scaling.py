"""How time and memory grow with the work, beside the theory: exponents from the slope between logarithms.

    python benchmarks/scaling.py                      sizes that end in minutes
    python benchmarks/scaling.py --whole              up to 10,000 images, 1,000,000 vectors and 100 methods
    python benchmarks/scaling.py --plot cost.png      a plot of the figures

Each size has a process of its own with one thread. Time is the processor's, of the work alone: without imports, and
without making what is worked on. Memory is the peak above what the process held before the work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from memory import Noise, memory

CHANNELS, QUERIES, FRACTION = 128, 784, 0.01


@dataclass(frozen=True)
class Axis:
    """Something that grows.

    Attributes:
        what: in words, with its unit.
        quick, whole: the sizes.
        prepare: gives the work of a size.
        time, memory: the exponents of the theory.
    """

    what: str
    quick: Sequence[int]
    whole: Sequence[int]
    prepare: Callable[[int], Callable[[], object]]
    time: float
    memory: float


def unit_of(images: int, neighbours: int = 1):
    """A unit of toy parts on images of noise, and the registry that knows them."""
    from adbench.engine.plan.protocol import Protocol
    from adbench.engine.plan.recipe import Recipe, complete
    from adbench.engine.plan.unit import Unit
    from adbench.registration.registry import load_registry

    registry = load_registry()
    registry.add_component(Noise, "benchmarks", "1")
    name = f"toy-{neighbours}"
    parts = {"backbone": "toy-pixels", "scorer": {"toy-nearest": {}}, "map": {"sigma": float(neighbours)}}
    recipe = complete(Recipe.model_validate({"name": name, **parts, "preprocess": []}), registry)
    return Unit(recipe, Noise(images=images), "noise", 0, Protocol()), registry


def runs(images: int, methods: int) -> Callable[[], object]:
    """Units of so many methods on so many test images, as one grid runs them."""
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.runner import Runner

    units = [unit_of(images, number + 1)[0] for number in range(methods)]
    registry = unit_of(images)[1]

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(
                registry, Settings(Path(folder), figures=False, cache=Path(folder, "cache"), threshold=None)
            )
            with runner.together(methods):
                for unit in units:
                    outcome = runner.run(unit)
                    assert outcome is not None
                    assert outcome.record.status == "ok", outcome.record.reason

    with tempfile.TemporaryDirectory() as folder:  # what is imported on the way is no work of a size
        Runner(registry, Settings(Path(folder), figures=False, cache=None, threshold=None)).run(unit_of(10)[0])
    return work


def clustered(vectors: int):
    """[N, C] vectors around 200 centers, as features lie."""
    import torch

    draw = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(200, CHANNELS, generator=draw)
    made = torch.randn(vectors, CHANNELS, generator=draw).mul_(0.5)
    return made.add_(centers[torch.randint(200, (vectors,), generator=draw)])


def search(vectors: int) -> Callable[[], object]:
    """Making an exact index of a bank, and ten images asked of it."""
    from adbench.search import ExactIndex

    bank, queries = clustered(vectors), clustered(QUERIES)

    def work() -> None:
        index = ExactIndex(bank, "l2")
        for _ in range(10):
            index.search(queries, 1)

    return work


def coreset(vectors: int) -> Callable[[], object]:
    """Greedy k-center of 1 %."""
    from adbench.coresets import greedy_cover

    bank = clustered(vectors)
    return lambda: greedy_cover(bank, int(FRACTION * vectors), 0)


AXES = {
    "images": Axis("test images of a run", (100, 300, 1000), (100, 1000, 10_000), lambda n: runs(n, 1), 1, 0),
    "methods": Axis("methods of a grid on 50 images", (3, 10, 30), (1, 10, 100), lambda n: runs(50, n), 1, 0),
    "search": Axis(
        "vectors of a bank: exact search", (10_000, 30_000, 100_000), (10_000, 100_000, 1_000_000), search, 1, 1
    ),
    "coreset": Axis(
        "vectors of a bank: coreset of 1 %", (10_000, 30_000, 100_000), (10_000, 100_000, 1_000_000), coreset, 2, 1
    ),
}


def measured(axis: str, size: int) -> dict[str, float]:
    """Processor seconds and megabytes of one size, in this process."""
    import torch

    torch.set_num_threads(1)
    work = AXES[axis].prepare(size)
    before, started = memory("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    work()
    return {"seconds": time.process_time() - started, "mb": max(0.0, memory("VmHWM") - before)}


def in_own_process(axis: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", axis, str(size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


class Kept:
    """Measurements that a file keeps, so that a long series may stop and go on.

    Args:
        file: None keeps nothing.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known = json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else {}

    def of(self, axis: str, size: int) -> dict[str, float]:
        """The measurement of one size: kept, or made now."""
        key = f"{axis} {size}"
        if key not in self._known:
            self._known[key] = in_own_process(axis, size)
            if self._file:
                self._file.write_text(json.dumps(self._known, indent=1), encoding="utf-8")
        return self._known[key]


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of the least squares line through logarithms; what is below a thousandth counts as that."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def plot(found: dict[str, tuple[Sequence[int], list[dict[str, float]]]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, rows = plt.subplots(2, len(found), figsize=(3.4 * len(found), 6), layout="constrained", squeeze=False)
    for column, (name, (sizes, values)) in enumerate(found.items()):
        axis = AXES[name]
        for panel, key, theory, unit in (
            (rows[0, column], "seconds", axis.time, "processor time, s"),
            (rows[1, column], "mb", axis.memory, "memory above the start, MB"),
        ):
            seen = [value[key] for value in values]
            label = f"measured, exponent {exponent(sizes, seen):.2f}"
            panel.loglog(sizes, seen, "o-", color="tab:blue", label=label)
            line = [seen[-1] * (size / sizes[-1]) ** theory for size in sizes]
            panel.loglog(sizes, line, "--", color="tab:gray", label=f"theory, exponent {theory:g}")
            panel.set(xlabel=axis.what, ylabel=unit)
            panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
            panel.xaxis.set_minor_formatter("")
            panel.yaxis.set_minor_formatter("")
            panel.set_ylim(min(*seen, *line) / 3, max(*seen, *line) * 3)
            panel.legend(fontsize=8)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="the large sizes")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="JSON of sizes that are not measured again")
    parser.add_argument("--alone", nargs=2, metavar=("AXIS", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measured(options.alone[0], int(options.alone[1]))))
        return
    found, kept = {}, Kept(options.kept)
    print("| what grows | sizes | processor time, s | exponent | theory | memory, MB | exponent | theory |")
    print("|---|---|---|---:|---:|---|---:|---:|")
    for name in options.axes:
        axis = AXES[name]
        sizes = axis.whole if options.whole else axis.quick
        values = [kept.of(name, size) for size in sizes]
        found[name] = sizes, values
        seconds, held = ([value[key] for value in values] for key in ("seconds", "mb"))
        cells = [
            axis.what,
            ", ".join(f"{size:,}" for size in sizes),
            ", ".join(f"{one:.2f}" for one in seconds),
            f"{exponent(sizes, seconds):.2f}",
            f"{axis.time:g}",
            ", ".join(f"{one:.0f}" for one in held),
            f"{exponent(sizes, held):.2f}",
            f"{axis.memory:g}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
