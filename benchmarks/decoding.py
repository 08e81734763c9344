"""How long a file takes to become pixels, and pixels to become smaller: adbench beside Pillow and what else is there.

    python benchmarks/decoding.py [--data ../shared/data] [--size 448] [--rounds 7] [--threads 2]

The large files are a photograph of scikit-image at 1024 x 1024 with the noise of a camera; `--data` adds real ones. One
thread: processor time of the best round, which a busy machine hardly changes. Threads: time that passes, an image, with
that many readers at once; it falls only where a decoder lets go of Python's lock. Rounds of all variants alternate.
OpenCV, torchvision, kornia-rs and simplejpeg take part where they are installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adbench import Geometry
from adbench.builtin.images.reading import read_image
from adbench.builtin.stages.preprocessors import Resize

Reader = Callable[[Path], np.ndarray]
SIDE, SAMPLE = 1024, 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of real images; every kind of file in each of its folders")
    parser.add_argument("--size", type=int, default=448, help="to what the photograph is resized")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder)) | (real(arguments.data) if arguments.data else {})
        print(f"| files | reader | one thread, ms | {arguments.threads} threads, ms | against Pillow | differs by |")
        print("|---|---|---:|---:|---:|---:|")
        for name, paths in files.items():
            compare(name, paths, arguments.rounds, arguments.threads)
    print(f"\n| {SIDE} px to {arguments.size} px | ms | differs by, of 255 |\n|---|---:|---:|")
    for name, spent, off in resizes(arguments.size, arguments.rounds):
        print(f"| {name} | {spent:.1f} | {off:.2g} |")


def photographs(folder: Path) -> dict[str, list[Path]]:
    """One file of each kind, all of the same photograph."""
    colour = photograph()
    gray, mask = colour[:, :, 1], np.where(colour[:, :, 0] > 200, 255, 0).astype(np.uint8)
    made = {"a.png": colour, "gray.png": gray, "mask.png": mask, "a.jpg": colour, "gray.jpg": gray}
    for name, pixels in made.items():
        Image.fromarray(pixels).save(folder / name, **({"quality": 95} if name.endswith("jpg") else {}))
    return {f"{SIDE} px, {name}": [folder / name] for name in made}


def photograph() -> np.ndarray:
    from skimage import data

    picture = Image.fromarray(data.astronaut()).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 2, (SIDE, SIDE, 3))
    return np.clip(np.array(picture) + noise, 0, 255).round().astype(np.uint8)


def real(root: Path) -> dict[str, list[Path]]:
    """Some files of each folder and kind."""
    found: dict[str, list[Path]] = {}
    for path in sorted(root.glob("*/**/*.*")):
        if path.suffix in {".png", ".jpg"}:
            kind = "masks" if "ground_truth" in path.parts else path.suffix
            found.setdefault(f"{path.relative_to(root).parts[0]}, {kind}", []).append(path)
    return {name: paths[:: max(1, len(paths) // SAMPLE)][:SAMPLE] for name, paths in found.items()}


def readers(suffix: str) -> dict[str, Reader]:
    """What reads such files as [H, W, 3] uint8."""
    found: dict[str, Reader] = {
        "Pillow": lambda path: np.array(Image.open(path).convert("RGB")),
        "adbench": read_image,
    }
    if find_spec("cv2"):
        import cv2

        cv2.setNumThreads(1)
        found["OpenCV"] = lambda path: cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if find_spec("torchvision"):
        from torchvision.io import ImageReadMode, decode_image

        found["torchvision"] = lambda path: decode_image(str(path), ImageReadMode.RGB).permute(1, 2, 0).numpy()
    if find_spec("kornia_rs") and suffix == ".png":
        from kornia_rs.io import read_image as read

        found["kornia-rs"] = lambda path: wide(read(path))
    if find_spec("simplejpeg") and suffix == ".jpg":
        from simplejpeg import decode_jpeg

        found["simplejpeg"] = lambda path: decode_jpeg(path.read_bytes())  # takes a truncated file for a whole one
    return found


def wide(pixels: np.ndarray) -> np.ndarray:
    return np.dstack((pixels,) * 3) if pixels.shape[2] == 1 else pixels


def compare(name: str, paths: list[Path], rounds: int, threads: int) -> None:
    """A row of the table for each reader."""
    compared, repeat = readers(paths[0].suffix), max(1, SAMPLE // len(paths))
    alone, together = dict.fromkeys(compared, float("inf")), dict.fromkeys(compared, float("inf"))
    for _ in range(rounds):
        for reader, read in compared.items():
            work = paths * repeat
            alone[reader] = min(alone[reader], spent(time.process_time, lambda r=read, w=work: list(map(r, w)), work))
            with ThreadPoolExecutor(threads) as pool:
                at_once = lambda r=read, w=work, p=pool: list(p.map(r, w))  # noqa: E731
                together[reader] = min(together[reader], spent(time.perf_counter, at_once, work))
    for reader, read in compared.items():
        off = max(int(np.abs(read(path).astype(int) - compared["Pillow"](path)).max()) for path in paths)
        ratio = f"{alone['Pillow'] / alone[reader]:.2f}x, {together['Pillow'] / together[reader]:.2f}x"
        print(f"| {name} | {reader} | {alone[reader]:.2f} | {together[reader]:.2f} | {ratio} | {off} |", flush=True)


def spent(clock: Callable[[], float], work: Callable[[], object], items: list[Path]) -> float:
    """Milliseconds an item."""
    began = clock()
    work()
    return (clock() - began) * 1e3 / len(items)


def resizes(size: int, rounds: int) -> list[tuple[str, float, float]]:
    """Ways to make the photograph smaller: name, milliseconds, largest difference from Pillow's."""
    pixels = photograph()
    picture, image = Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1)
    whole = Geometry.whole(SIDE, SIDE)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "Pillow": lambda: torch.from_numpy(np.array(picture.resize((size, size), Image.Resampling.BILINEAR))).permute(
            2, 0, 1
        ),
        "resize": lambda: Resize(size=size).apply(image, whole)[0],
        "resize, channels apart": lambda: Resize(size=size).apply(image.contiguous(), whole)[0],
        "resize, precision: float": lambda: Resize(size=size, precision="float").apply(image, whole)[0] * 255,
    }
    expected, best = ways["Pillow"]().float(), dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], spent(time.process_time, way, [Path()]))
    return [(name, best[name], float((way().float() - expected).abs().max())) for name, way in ways.items()]


if __name__ == "__main__":
    main()
