"""Methods that take hours on a data set: a slice of them beside the forwards and products that bound it.

    python benchmarks/hours.py turns [--train 4] [--test 8]     AnomalyDINO, its references in eight turns
    python benchmarks/hours.py musc [--test 4]                  MuSc, each test image among all others

`adbench run` with random weights, PyTorch as its runtime and an empty cache: its record's seconds for fit and test. The
limit is the network's forward in PyTorch on as many random images, and the matrix products of all pairs of patches that
the method compares, in float32. The rest of a method is the ratio. The hours of the whole are the limit's parts times
what all images of magnetic-tile need; the whole was not run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

TURNS, WHOLE_TRAIN, WHOLE_TEST = 8, 761, 579
RUN = (
    "run",
    "--device",
    "cpu",
    "--runtime",
    "torch",
    "--threshold",
    "none",
    "--no-figures",
    "--json",
    "--batch-size",
    "1",
)


class Work(NamedTuple):
    """What a method cannot avoid: forwards of one image, and products of the patches of two images."""

    forwards: int
    products: int


class Case(NamedTuple):
    """A method on a slice.

    Attributes:
        words: of `adbench run`, beside the slice.
        network: makes the backbone's network.
        side: of its square images, in pixels.
        patches, channels: of the vectors of an image that are compared.
        work: of so many images to learn from and to test.
    """

    words: str
    network: Callable[[], Any]
    side: int
    patches: int
    channels: int
    work: Callable[[int, int], Work]


def dinov2() -> Any:
    import timm

    return timm.create_model("vit_small_patch14_dinov2", pretrained=False, img_size=448).forward_features


def clip() -> Any:
    import open_clip

    return open_clip.create_model("ViT-L-14-336-quickgelu", force_image_size=518).visual


CASES = {
    "turns": Case(
        "--recipe anomaly-dino --preprocess resize:size=448+448,interpolation=bicubic"
        " --backbone dinov2:size=small,weights=random",
        dinov2,
        448,
        32 * 32,
        384,
        lambda train, test: Work(TURNS * train + test, TURNS * train * test),
    ),
    "musc": Case(
        "--recipe musc --allow test"
        " --backbone clip:model=ViT-L-14-336-quickgelu,weights=random,resolution=518,windows=,blocks=5+11+17+23",
        clip,
        518,
        37 * 37,
        1024,
        lambda _, test: Work(test, 12 * test * (test - 1)),  # four blocks, three sizes of neighbourhoods
    ),
}


def run_seconds(case: Case, data: Path, train: int, test: int) -> float:
    """Seconds of fit and test in the record; half of the test images are normal."""
    with tempfile.TemporaryDirectory() as folder:
        tree = sliced(data, Path(folder) / "data", train, test)
        words = [*RUN, *case.words.split(), "--data", str(tree), "--out", f"{folder}/runs"]
        code = "from adbench.cli import main; main()"
        printed = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "ADBENCH_CACHE": f"{folder}/cache"},
        ).stdout
    return charged_once(json.loads(printed.splitlines()[0])["cost"], test)


def charged_once(cost: dict[str, Any], test: int) -> float:
    """Seconds that this run spent. A record charges features that the fit kept a second time, as if they were new."""
    again = cost["test_extract_s"] if cost["recalled"] >= test else 0.0
    return float(cost["fit_s"] + cost["test_s"] - again)


def sliced(data: Path, tree: Path, train: int, test: int) -> Path:
    """A copy of the first images of the data's only category: normal ones to learn from, and two test folders."""
    (category,) = (path for path in sorted(data.iterdir()) if (path / "train").is_dir())
    kinds = sorted(path.name for path in (category / "test").iterdir() if path.name != "good")[:1]
    for place, count in (("train/good", train), ("test/good", test // 2), (f"test/{kinds[0]}", test - test // 2)):
        (tree / "slice" / place).mkdir(parents=True)
        for image in sorted((category / place).iterdir())[:count]:
            (tree / "slice" / place / image.name).write_bytes(image.read_bytes())
    return tree


def seconds(work: Callable[[], object], turns: int = 3) -> float:
    """The best of some turns, after one that does not count."""
    work()
    spent = []
    for _ in range(turns):
        begin = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=sorted(CASES))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/magnetic-tile")
    parser.add_argument("--train", type=int, default=4)
    parser.add_argument("--test", type=int, default=8)
    given = parser.parse_args()
    case = CASES[given.method]
    network = case.network()
    image, patches = torch.rand(1, 3, case.side, case.side), torch.rand(case.patches, case.channels)
    with torch.inference_mode():
        forward = seconds(lambda: network(image))
        product = seconds(lambda: patches @ patches.T)
    spent = run_seconds(case, given.data, given.train, given.test)

    def limit(work: Work) -> float:
        return work.forwards * forward + work.products * product

    part = case.work(given.train, given.test)
    print(f"{torch.get_num_threads()} threads; one forward {forward:.2f} s, one product {1e3 * product:.1f} ms")
    print(f"slice: {part.forwards} forwards, {part.products} products: limit {limit(part):.1f} s")
    print(f"adbench run: fit and test {spent:.1f} s, {spent / limit(part):.2f}x")
    whole = limit(case.work(WHOLE_TRAIN, WHOLE_TEST)) / 3600
    print(f"limit of all of magnetic-tile: {whole:.1f} hours")


if __name__ == "__main__":
    main()
