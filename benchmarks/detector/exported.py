"""An exported ONNX file in ONNX Runtime alone, against `Detector.predict`: scores and time.

    python benchmarks/detector/exported.py [--rounds 100]

PatchCore-lite at 256 px that learned from 38 hazelnuts. Scores and maps are compared on all PNGs of the data that it
did not learn from, times on one image in memory, with its map. Goals: no slower, and scores that differ by at
most 1e-4 of their value.
"""

from __future__ import annotations

import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np
import onnxruntime
from measuring import fitted, in_turns, parser, pngs, told_load

from adbench import Detector
from adbench.datasets import read_image


def session_of(model: Path) -> onnxruntime.InferenceSession:
    """The file as a program without adbench opens it, on as many threads as torch has."""
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def differences(detector: Detector, session: onnxruntime.InferenceSession, images: list[np.ndarray]) -> np.ndarray:
    """[N, 2] relative differences of scores, and of maps relative to their largest value."""
    found = []
    for image in images:
        own, (score, scores) = detector.predict(image), session.run(None, {"image": image[None]})
        assert own.map is not None
        found.append([abs(score[0] - own.score) / own.score, np.abs(scores[0] - own.map).max() / own.map.max()])
    return np.array(found)


def main() -> None:
    given = parser(__doc__, rounds=100).parse_args()
    detector = fitted(given.data)
    known = {path.resolve() for path in pngs(given.data / "hazelnut/train/good")}
    images = [read_image(path) for path in pngs(given.data) if path.resolve() not in known]
    with tempfile.TemporaryDirectory() as folder:
        session = session_of(detector.export(Path(folder) / "hazelnut.onnx").path)
    score, scores = differences(detector, session, images).max(0)
    print(f"{len(images)} images: scores differ by up to {score:.1e}, maps by up to {scores:.1e} (relative)")
    turns = [cycle(images), cycle(images)]
    works = {
        "Detector.predict, with its map": lambda: detector.predict(next(turns[0])).map,
        "ONNX Runtime, the exported file": lambda: session.run(None, {"image": next(turns[1])[None]}),
    }
    costs = in_turns(given.rounds, works)
    print(told_load())
    for name, cost in costs.items():
        print(f"{name:34} wall {1e3 * cost.wall:6.1f} ms   processor {1e3 * cost.cpu:6.1f} ms")


if __name__ == "__main__":
    main()
