"""The start: a detector's file of 10 MB loaded after the imports, and `adbench predict` of one file from nothing.

    python benchmarks/detector/starting.py [--rounds 7]

PatchCore-lite with a full bank of 16 hazelnuts: 10 MB. Every start is a process of its own, and files are in the page
cache; modules are compiled, as after an installation, whatever PYTHONDONTWRITEBYTECODE says. "Loading" is the time of
`Detector.load` in a process that has imported all that it takes by loading another detector before; "first image" is
what the first prediction adds to that. Goals: loading 0.3 s, the command 4 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ADBENCH, Cost, Ended, cost_of, fitted, in_own_process, median, parser, pngs

IMAGES = 16


def alone(other: str, file: str, image: str) -> None:
    """In a process of its own: load a detector, load the one that counts, score one image; prints the seconds."""
    imports = cost_of(lambda: Detector_load(other).predict(image))
    started = time.perf_counter(), time.process_time()
    detector = Detector_load(file)
    loaded = Cost(time.perf_counter() - started[0], time.process_time() - started[1])
    first = cost_of(lambda: detector.predict(image).p_value)
    print(json.dumps({"imports": imports, "loading": loaded, "first image": first}))


def Detector_load(file: str):  # noqa: N802
    from adbench import Detector

    return Detector.load(file)


def parts(other: Path, file: Path, image: Path) -> dict[str, Cost]:
    command = [sys.executable, __file__, "--alone", other, file, image]
    said = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: Cost(*numbers) for name, numbers in json.loads(said.splitlines()[-1]).items()}


def main() -> None:
    options = parser(__doc__, rounds=7)
    options.add_argument("--alone", nargs=3)
    given = options.parse_args()
    if given.alone:
        alone(*given.alone)
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    image = pngs(given.data / "hazelnut/test")[0]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        file = fitted(given.data, IMAGES, bank="full").save(scratch / "large.adbench")
        small = fitted(given.data, IMAGES).save(scratch / "small.adbench")
        print(f"{file.stat().st_size / 1e6:.1f} MB")
        found = [parts(small, file, image) for _ in range(given.rounds)]
        for name in found[0]:
            print(row(name, [one[name] for one in found]))
        for name, command in commands(file, image, scratch).items():
            print(row(name, [seconds(in_own_process(command)) for _ in range(given.rounds)]))


def commands(file: Path, image: Path, scratch: Path) -> dict[str, list[object]]:
    """Commands to start."""
    predict = [*ADBENCH, "predict", file, image, "--out", scratch / "out"]
    return {
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        "adbench predict of one file": predict,
        "the same, --tables-only": [*predict, "--tables-only"],
    }


def seconds(ended: Ended) -> Cost:
    return Cost(ended.wall, ended.cpu)


def row(name: str, costs: list[Cost]) -> str:
    middle, least = median(costs), min(costs)
    return f"{name:28} wall {middle.wall:5.2f} s (at best {least.wall:5.2f})   processor {middle.cpu:5.2f} s"


if __name__ == "__main__":
    main()
