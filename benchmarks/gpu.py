"""Everything about speed that needs a GPU, in one run: tests first, then a row after the other.

    python benchmarks/gpu.py                          the rows of benchmarks/README.md, in 8 minutes on one H100
    python benchmarks/gpu.py --quick                  fewer of everything, in 2 minutes
    python benchmarks/gpu.py --device cpu --tiny      every line of it, on a CPU; what it measures means nothing
    python benchmarks/gpu.py --rows k-center metrics  some rows alone

It needs neither network nor data: images are drawn, weights are random. torch and timm have to be there, and what
gpu-requirements.txt pins; scripts/gpu-wheels fetches that for a machine without an index. What is measured is the tree
that this file lies in, whatever else is installed.

Each row has a process of its own and a number of seconds; one that fails or runs over is reported, and the others run.
For each, the limit is measured first: bytes, a bare forward, the same work without adbench. What falls short is
profiled at once. Results are written after each row into the folder --out: gpu.json, gpu.md with the table, and a
profile for each line that fell short.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = [ROOT / "benchmarks", ROOT, *sorted(ROOT.glob("plugins/*/src"))]
sys.path[:] = [*map(str, OWN), *(place for place in sys.path if Path(place or ".").resolve() not in OWN)]
os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, OWN), os.environ.get("PYTHONPATH", "")])  # for processes

from gpu_rows.equality_tests import Tests, checked  # noqa: E402
from gpu_rows.hardware import hardware  # noqa: E402
from gpu_rows.line import FULL, QUICK, TINY, Sizes  # noqa: E402
from gpu_rows.row_process import Ending, Measure, in_own_process  # noqa: E402 - found by the two lines above
from gpu_rows.tables import notes, table  # noqa: E402


@dataclass(frozen=True)
class Row:
    """A row by name: where its function is, and how many seconds it has in a whole run."""

    name: str
    module: str
    function: str
    budget: float

    def __call__(self, sizes: Sizes, device: str) -> Iterator[Any]:
        """Measure; the module is imported in the process of the row."""
        from importlib import import_module

        measure: Measure = getattr(import_module(f"gpu_rows.{self.module}"), self.function)
        return measure(sizes, device)


ROWS = (
    Row("card", "card", "rates", 30),
    Row("full-bank", "full_bank", "full_bank", 60),
    Row("one-image", "full_bank", "one_image", 40),
    Row("k-center", "coreset", "k_center", 45),
    Row("metrics", "metrics", "metrics", 60),
    Row("patchcore", "runs", "patchcore", 90),
    Row("memory", "runs", "memory", 60),
    Row("end-to-end", "runs", "end_to_end", 220),
)
TESTS_BUDGET, WHOLE, QUICKLY, LEAST = 100.0, 460.0, 115.0, 25.0
"""Seconds for the tests, for everything in a whole run and with --quick, and for a row as long as there are so many."""


def main() -> None:
    options = parsed()
    sizes = TINY if options.tiny else QUICK if options.quick else FULL
    limit = options.limit or (QUICKLY if options.quick else WHOLE)
    result = about(options, sizes)
    begin, share = time.monotonic(), limit / WHOLE
    if not options.no_tests:
        tests = checked(options.device, max(LEAST, share * TESTS_BUDGET), result["sizes_of"])
        result |= {"tests": tests.to_json(), "tests_in_words": tests.sentence}
        say(f"tests: {tests.sentence}")
    for row in [row for row in ROWS if not options.rows or row.name in options.rows]:
        left = limit - (time.monotonic() - begin)
        result["rows"].append(asdict(measured(row, sizes, options.device, min(left, max(LEAST, share * row.budget)))))
        write(result, options.out)
    result["seconds"] = time.monotonic() - begin
    write(result, options.out)
    print(table(result["rows"]), notes(result), sep="\n\n")
    bad = result["tests"]["failed"] or any(row["status"] != "ok" for row in result["rows"])
    sys.exit(1 if bad else 0)


def parsed() -> argparse.Namespace:
    """The command line; a GPU that is not there is reported at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="torch's name of it; default %(default)s")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="fewer of everything, in 2 minutes")
    size.add_argument("--tiny", action="store_true", help="hardly anything: only to see that every line runs")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="these rows alone")
    parser.add_argument("--no-tests", action="store_true", help="measure without running the tests before")
    parser.add_argument("--limit", type=float, help="seconds for everything")
    parser.add_argument("--out", type=Path, default=ROOT / "build/gpu", help="folder of the results")
    options = parser.parse_args()
    options.named = hardware(options.device)
    if not options.named["card"]:
        parser.error(f"torch sees no {options.device} here; --device cpu --tiny shows that every line runs")
    return options


def about(options: argparse.Namespace, sizes: Sizes) -> dict[str, Any]:
    """What is known before anything is measured."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **options.named,
        "device": options.device,
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "sizes_of": "tiny" if options.tiny else "quick" if options.quick else "whole",
        "sizes": sizes.to_json(),
        "tests": Tests().to_json(),
        "tests_in_words": "left out",
        "rows": [],
    }


def measured(row: Row, sizes: Sizes, device: str, budget: float) -> Ending:
    """A row within so many seconds, told as soon as it has ended."""
    ending = (
        in_own_process(row.name, row, sizes, device, budget)
        if budget > 1
        else Ending(row.name, "left out", "no time was left")
    )
    say(f"{row.name}: {ending.status} after {ending.seconds:.0f} s{': ' if ending.reason else ''}{ending.reason}")
    for line in ending.lines:
        say(f"    {line['key']}: {line['ours']:.4g} {line['unit']}; {line['note']}")
    return ending


def write(result: dict[str, Any], out: Path) -> None:
    """All that is known by now."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (out / "gpu.md").write_text(f"{table(result['rows'])}\n\n{notes(result)}\n", encoding="utf-8")
    for row in result["rows"]:
        for key, profile in row["profiles"].items():
            (out / f"{key}.profile.txt").write_text(profile, encoding="utf-8")


def say(sentence: str) -> None:
    """At once, also into a pipe; the table alone goes to stdout."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
