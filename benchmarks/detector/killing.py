"""`adbench watch`, killed at random moments: every file exactly once.

    python benchmarks/detector/killing.py [--kills 20]

Before each start some files arrive. The command is killed (SIGKILL) a random moment after it has written a random
number of rows; the last start runs to its end. Then each file must have one row, one heatmap and one image in
``coco.json``. Both the moments and the files follow from a seed.
"""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ADBENCH, fitted, in_own_process, parser, pngs

FILES = 12


def killed(command: list[str], journal: Path, more: int, pause: float) -> int:
    """Kill the command a moment after so many more rows; the rows that are there then."""
    wanted = rows_in(journal) + more
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and rows_in(journal) < wanted:
        time.sleep(0.001)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the command ended by itself"
    return rows_in(journal)


def rows_in(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def main() -> None:
    given = parser(__doc__, kills=20, seed=0).parse_args()
    draws = random.Random(given.seed)
    images = pngs(given.data / "hazelnut/test")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        detector = fitted(given.data).save(scratch / "hazelnut.adbench")
        incoming, out = scratch / "incoming", scratch / "out"
        incoming.mkdir()
        command = [*map(str, (*ADBENCH, "watch", detector, incoming, "--out", out)), "--every", "0.01"]
        for kill in range(given.kills):
            for number in range(kill * FILES, (kill + 1) * FILES):
                (incoming / f"{number:04}.png").write_bytes(images[number % len(images)].read_bytes())
            one_by_one = [*command, "--batch-size", "1"]
            there = killed(one_by_one, out / "predictions.jsonl", draws.randrange(1, FILES), draws.random() * 0.05)
            print(f"kill {kill + 1}: {there} rows of {(kill + 1) * FILES} files", flush=True)
        in_own_process([*command, "--once"])
        judge(out, [f"{number:04}.png" for number in range(given.kills * FILES)])


def judge(out: Path, names: list[str]) -> None:
    with (out / "predictions.csv").open(newline="") as file:
        rows = sorted(row["file"] for row in csv.DictReader(file))
    lines = sorted(json.loads(line)["file"] for line in (out / "predictions.jsonl").read_text().splitlines())
    heatmaps = sorted(path.name for path in (out / "heatmaps").iterdir())
    found = {"predictions.csv": rows, "predictions.jsonl": lines, "heatmaps": heatmaps}
    if (out / "coco.json").exists():
        found["coco.json"] = sorted(one["file_name"] for one in json.loads((out / "coco.json").read_text())["images"])
    for where, there in found.items():
        print(f"{where}: {len(there)} of {len(names)} files, {'each once' if there == names else 'WRONG'}")
    sys.exit(any(there != names for there in found.values()))


if __name__ == "__main__":
    main()
