"""What reading a large set's lists costs, and sPRO beside AUPRO.

    python benchmarks/datasets.py scan FOLDER    makes a tree of empty files in Real-IAD's form, and scans it
    python benchmarks/datasets.py spro           time of both curves, and sPRO beside a slow definition

The tree has Real-IAD's number of images, 30 categories of 1,007 specimens in five views, and stays in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from adbench_data.sets.real_iad import RealIad

from adbench.api.curves.curve import curve_of_maps
from adbench.api.curves.regions import Region, RegionTruth, curve_of_regions

SPECIMENS, VIEWS = 1007, 5
SHAPE, IMAGES = (1000, 1200), 60
Found = TypeVar("Found")


def make_tree(root: Path) -> None:
    for category in RealIad.known:
        lists: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
        for specimen in range(SPECIMENS):
            defective = specimen % 3 == 0
            kind = ("AK", "BX", "CH", "HS")[specimen % 4] if defective else "OK"
            folder = f"NG/{kind}/S{specimen:04}" if defective else f"OK/S{specimen:04}"
            place = root / "realiad_1024" / category / folder
            place.mkdir(parents=True)
            for view in range(1, VIEWS + 1):
                image = f"{category}_{specimen:04}_{'NG_' + kind if defective else 'OK'}_C{view}_20231023151530.jpg"
                mask = f"{image[:-4]}_mask.png" if defective else None
                for name in filter(None, (image, mask)):
                    (place / name).touch()
                lists["train" if not defective and specimen % 2 else "test"].append(
                    {
                        "category": category,
                        "anomaly_class": kind,
                        "image_path": f"{folder}/{image}",
                        "mask_path": mask and f"{folder}/{mask}",
                    }
                )
        (root / "realiad_jsons").mkdir(exist_ok=True)
        meta = {"prefix": f"{category}/", "normal_class": "OK", "pre_transform": True}
        (root / "realiad_jsons" / f"{category}.json").write_text(json.dumps({"meta": meta, **lists}))


def scan(root: Path) -> None:
    if not (root / "realiad_jsons").exists():
        make_tree(root)
    before = peak()
    clock, processor = time.perf_counter(), time.process_time()
    dataset = RealIad(root=root)
    splits = [dataset.split(category) for category in dataset.categories()]
    images = sum(len(split.train) + len(split.test) for split in splits)
    print(f"{images:,} images: {time.perf_counter() - clock:.1f} s of the clock,", end=" ")
    print(
        f"{time.process_time() - processor:.1f} s of the processor, peak {peak():.0f} MB, of them {before:.0f} before"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    before = time.process_time()
    return work(), time.process_time() - before


def spro() -> None:
    rng = np.random.default_rng(0)
    maps, masks, truths = [], [], []
    for index in range(IMAGES):
        regions = list(random_regions(rng)) if index % 2 else []
        truth = RegionTruth(SHAPE, regions)
        mask = np.zeros(SHAPE, bool)
        mask.ravel()[truth.union] = True
        maps.append(rng.random(SHAPE, dtype=np.float32) + np.float32(0.3) * mask)
        masks.append(mask)
        truths.append(truth)
    for _ in range(2):
        aupro, first = timed(lambda: curve_of_maps(lambda: zip(maps, masks, strict=True)).aupro(0.05))
        found, second = timed(lambda: curve_of_regions(lambda: zip(maps, truths, strict=True)).aupro(0.05))
        print(f"{IMAGES} maps: AUPRO {aupro:.6f} in {first:.2f} s, sPRO {found:.6f} in {second:.2f} s of the processor")
    small = [image[::25, ::25].copy() for image in maps]
    shrunk = [
        RegionTruth(image.shape, [smaller(one) for one in truth.regions])
        for image, truth in zip(small, truths, strict=True)
    ]
    fast = curve_of_regions(lambda: zip(small, shrunk, strict=True)).aupro(0.05)
    slow = slow_spro(small, shrunk, 0.05)
    print(f"{IMAGES} small maps: sPRO {fast!r}, by its definition {slow!r}, difference {abs(fast - slow):.1e}")


def random_regions(rng: np.random.Generator) -> Iterator[Region]:
    for _ in range(3):
        marked = np.zeros(SHAPE, bool)
        top, left = rng.integers(0, 800, 2)
        marked[top : top + 150, left : left + 200] = True
        yield Region.of(marked, 10_000)


def smaller(region: Region) -> Region:
    marked = np.zeros(SHAPE, bool)
    marked.ravel()[region.positions] = True
    return Region.of(marked[::25, ::25].copy(), 16)


def slow_spro(maps: list[np.ndarray], truths: list[RegionTruth], limit: float) -> float:
    """The area under the curve, threshold by threshold, as MVTec LOCO's paper defines it."""
    thresholds = np.unique(np.concatenate([one.ravel() for one in maps]))[::-1]
    points = [(0.0, 0.0)]
    outside = [np.ones(one.shape, bool) for one in maps]
    for free, truth in zip(outside, truths, strict=True):
        free.ravel()[truth.union] = False
    normal = sum(int(free.sum()) for free in outside)
    for threshold in thresholds:
        above = [one >= threshold for one in maps]
        rate = sum(int((hit & free).sum()) for hit, free in zip(above, outside, strict=True)) / normal
        overlaps = [
            min(hit.ravel()[region.positions].sum() / region.saturation, 1.0)
            for hit, truth in zip(above, truths, strict=True)
            for region in truth.regions
        ]
        points.append((rate, float(np.mean(overlaps))))
        if rate > limit:
            break
    rates, values = np.array(points).T
    end = np.interp(limit, rates[-2:], values[-2:])
    inside = rates <= limit
    return float(np.trapezoid([*values[inside], end], [*rates[inside], limit]) / limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scan", "spro"))
    parser.add_argument("folder", nargs="?", type=Path, help="of the tree, for scan")
    chosen = parser.parse_args()
    if chosen.what == "spro":
        spro()
    elif chosen.folder is None:
        parser.error("scan needs a folder")
    else:
        scan(chosen.folder)


if __name__ == "__main__":
    main()
