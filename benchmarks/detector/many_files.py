"""`adbench predict` of many files, from the command to the finished tables: time and memory.

    python benchmarks/detector/many_files.py [--files 100 1000 10000] [--side 64]

PatchCore-lite at 256 px that learned from 38 hazelnuts; the files are links to the PNGs of both categories in turn.
With `--side`, they are images of noise of so many pixels a side, which the detector sees at that size: memory over
many files takes minutes then in place of an hour. Each row is a process of its own. Where `scripts/peers` has made
anomalib's environment, anomalib 2.7.0 scores the same 1,000 files: `Engine.predict` in batches, and its OpenVINO
inferencer file by file.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from measuring import ADBENCH, PEERS, copies, fitted, in_own_process, parser, pngs, told_load
from PIL import Image

PEER = Path(__file__).parents[1] / "peers/anomalib_predict.py"
COMPARED = 1000


def noise(side: int, folder: Path) -> list[Path]:
    """50 PNG files of noise."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for number in range(50):
        Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{number:02}.png")
    return pngs(folder)


def ours(detector: Path, images: Path, scratch: Path) -> str:
    """One row; the tables hold all files."""
    out, count = scratch / f"out-{images.name}", len(list(images.iterdir()))
    ended = in_own_process([*ADBENCH, "predict", detector, images, "--out", out, "--tables-only"])
    rows = (out / "predictions.csv").read_text().count("\n") - 1
    assert rows == count, f"{rows} rows of {count} files"
    each = f"{1e3 * ended.wall / count:6.1f} ms wall, {1e3 * ended.cpu / count:6.1f} ms processor an image"
    return f"adbench predict {count:8,} files {ended.wall:7.1f} s {each}, {ended.peak:6.0f} MB"


def theirs(data: Path, images: Path) -> str:
    """The peer's rows, or why there are none."""
    if not PEERS.exists():
        return "anomalib 2.7.0: not measured (scripts/peers makes its environment)"
    command = [PEERS, PEER, "--data", data / "hazelnut", "--images", images]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    rows = {name: f"{ms:6.1f} ms wall an image" if isinstance(ms, float) else ms for name, ms in found.items()}
    return "\n".join(f"anomalib, {name:24} {row}" for name, row in rows.items())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, nargs="+", default=[100, 1000, 10_000])
    options.add_argument("--side", type=int, help="pixels a side of images of noise, in place of the PNGs")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        parts = {} if given.side is None else {"preprocess": f"resize:size={given.side}"}
        detector = fitted(given.data, **parts).save(scratch / "hazelnut.adbench")
        images = pngs(given.data) if given.side is None else noise(given.side, scratch / "noise")
        print(told_load())
        for count in given.files:
            print(ours(detector, copies(images, count, scratch / str(count)), scratch), flush=True)
        print(theirs(given.data, copies(pngs(given.data), COMPARED, scratch / "compared")))


if __name__ == "__main__":
    main()
