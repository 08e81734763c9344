"""`Detector.predict` of one image in a warm process, against the bare forward of its network.

    python benchmarks/detector/one_image.py [--rounds 100]

PatchCore-lite at 256 px that learned from 38 hazelnuts; the image is in memory. The bare forward is the network as
adbench exports it, in the fastest runtime, on one prepared image in memory. Goal: at most 1.3 times that.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import torch
from measuring import Cost, fitted, in_turns, parser, pngs, told_load

from adbench import Detector
from adbench.api.networks.exports import exported, installed, opened
from adbench.datasets import read_image

if TYPE_CHECKING:
    from adbench.api.networks.exports import Compute

RUNTIMES = ("onnxruntime", "openvino")
SIDE = 256


def bare(detector: Detector) -> dict[str, Compute]:
    """The detector's network by itself in each runtime."""
    network = detector.fitted.method.backbone._network._module  # type: ignore[attr-defined]  # noqa: SLF001
    content = exported(network, torch.rand(1, 3, SIDE, SIDE))
    return {name: opened(name, content, torch.get_num_threads()) for name in RUNTIMES if installed(name)}


def main() -> None:
    given = parser(__doc__, rounds=100).parse_args()
    detector = fitted(given.data)
    images = cycle([read_image(path) for path in pngs(given.data / "hazelnut/test")])
    prepared = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    def ask(*, with_map: bool) -> object:
        prediction = detector.predict(next(images))
        return prediction.p_value, prediction.is_anomalous, prediction.map if with_map else None

    works = {f"bare forward, {name}": (lambda run=run: run(prepared)) for name, run in bare(detector).items()}
    works |= {"predict: score, p-value, alarm": lambda: ask(with_map=False)}
    works |= {"predict, and the anomaly map": lambda: ask(with_map=True)}
    found = in_turns(given.rounds, works)
    fastest = min((cost for name, cost in found.items() if name.startswith("bare")), key=lambda cost: cost.wall)
    print(f"{told_load()}; the detector computes with {detector.fitted.method.backbone.runtime}")
    for name, cost in found.items():
        print(row(name, cost, fastest))


def row(name: str, cost: Cost, fastest: Cost) -> str:
    wall, cpu = cost.wall / fastest.wall, cost.cpu / fastest.cpu
    return f"{name:34} wall {1e3 * cost.wall:6.1f} ms {wall:5.2f}x   processor {1e3 * cost.cpu:6.1f} ms {cpu:5.2f}x"


if __name__ == "__main__":
    main()
