"""What a threshold from normal images alone costs and what it does: one held-out fit against five cross-fitted ones.

    python benchmarks/thresholds.py                                 patchcore-lite on the demo
    python benchmarks/thresholds.py PATH --limit-train 250          on a folder in MVTec AD's layout
    python benchmarks/thresholds.py PATH --recipe R --alpha 0.1
    python benchmarks/thresholds.py PATH --bank full                all vectors in the bank instead of a coreset
    python benchmarks/thresholds.py PATH --bank padim --scorer mahalanobis --aggregate max

Processor times. Features are extracted first and kept, as `adbench run` keeps them: folds never ask the backbone again.
The bank is fitted anew on all images before the test set is judged. "Cost" is what folds cost as a share of that fit
without its features; "in all" is fit and folds as a share of the fit, with features on both sides, which is what a user
waits for. The line above a table says where the time of the fit and of the folds goes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from adbench import Context, Sample, Source
from adbench.cli.options import recipe_from
from adbench.engine.evaluate import folds
from adbench.engine.evaluate.threshold import deploy
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import ImageLoader, source_images
from adbench.engine.features.streams import ImageStream
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.plan.protocol import Protocol, make_task
from adbench.engine.plan.recipe import complete, components_of
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.clock import Clock
from adbench.engine.run import crossfit
from adbench.engine.run.method import Method, split_scores
from adbench.registration.registry import installed

SLOTS = "bank", "scorer", "aggregate"
WAYS = {"held-out 20 %": 1, "cross-fitted k=5": 1 << 30}
"""From how many images on one held-out fit is made, for each way."""


class Unit(NamedTuple):
    """A category with the features and scores of a method."""

    train: Sequence[Sample]
    digests: Mapping[str, str]
    labels: np.ndarray
    scores: np.ndarray
    make: Callable[[], Method]
    stream: crossfit.StreamOf
    ctx: Context
    features_s: float
    fit_s: float
    walk_s: float


def unit_of(chosen: argparse.Namespace, dataset, category: str, workdir: Path) -> Unit:
    registry, ctx = installed(), Context(workdir=workdir)
    slots = {slot: part for slot in SLOTS if (part := getattr(chosen, slot))}
    whole = complete(recipe_from(registry, chosen.recipe, slots), registry)
    limit = chosen.limit_train
    task = make_task(dataset, category, Protocol(limit_train=limit), seed=0)
    backbone = Method.of(components_of(whole, registry), whole.map).backbone
    backbone.prepare(ctx)
    folder = FeatureCache(workdir, 1 << 34).folder_for({"category": category})

    def make() -> Method:
        method = replace(Method.of(components_of(whole, registry), whole.map), backbone=backbone)
        method.prepare(ctx)
        return method

    def stream(samples: Sequence[Sample]) -> ImageStream:
        reader = FeatureReader(backbone, ImageLoader(make().preprocess), Clock("cpu"), lambda _: folder)
        return ImageStream(reader, source_images(dataset, samples, task.aliases, task.digests))

    def walk(samples: Sequence[Sample]) -> None:
        for _ in stream(samples):
            pass

    walk(task.train[:1])  # the first forward of a network prepares it
    features_s = seconds(lambda: walk(task.train[1:])) * len(task.train) / max(1, len(task.train) - 1)
    walk(task.test)
    method = make()
    walk_s = seconds(lambda: [method.bank_features(part) for part in stream(task.train)])
    fit_s = seconds(lambda: method.fit({Source.TRAIN: stream(task.train)}, ctx))
    scores = method.aggregate([one for part in stream(task.test) for one in split_scores(*method.score(part))]).numpy()
    labels, times = np.array([s.anomalous for s in task.test]), (features_s, fit_s, walk_s)
    return Unit(task.train, task.digests, labels, scores, make, stream, ctx, *times)


def seconds(work: Callable[[], object]) -> float:
    """The processor's seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def tools(unit: Unit, _: folds.Fold) -> crossfit.FoldTools:
    return crossfit.FoldTools(unit.make(), unit.stream, unit.stream)


@contextmanager
def stages() -> Iterator[dict[str, float]]:
    """The processor's seconds of learning and of scoring inside the block."""
    found = {"fit": 0.0, "score": 0.0}

    def timed(name: str) -> Callable[..., object]:
        whole = getattr(Method, name)

        def run(*given: object) -> object:
            start = time.process_time()
            result = whole(*given)
            found[name] += time.process_time() - start
            return result

        return run

    with patch.object(Method, "fit", timed("fit")), patch.object(Method, "score", timed("score")):
        yield found


def show(category: str, unit: Unit, rules: Sequence[Rule]) -> None:
    print(
        f"\n{category}: {len(unit.train)} normal training images, their features take {unit.features_s:.1f} s, the fit"
        f" {unit.fit_s:.1f} s, of which the walk over the features is {unit.walk_s / unit.fit_s:.0%}"
    )
    print(
        f"{'':18}{'fit s':>7}{'score s':>8}{'cost':>6} {'in all':>7}  {'rule':10}{'normals':>8}{'false alarms':>13}"
        f"{'precision':>10}{'recall':>7}{'F1':>6}{'gap':>6}"
    )
    for way, many in WAYS.items():
        start = time.process_time()
        with patch.object(folds, "MANY", many), stages() as spent:
            normal = crossfit.normal_scores(unit.make(), unit.train, unit.digests, partial(tools, unit), unit.ctx)
        took, whole = time.process_time() - start, unit.features_s + unit.fit_s
        times = f"{spent['fit']:7.2f}{spent['score']:8.2f}{took / unit.fit_s:5.1f}x {(whole + took) / whole:6.2f}x"
        for rule in rules:
            found = deploy(rule, normal, unit.labels, unit.scores)
            figures = (found.fpr, found.precision, found.recall, found.f1, found.oracle_gap)
            texts = [f"{100 * value:.1f}" if value is not None else "-" for value in figures]
            cells = "".join(f"{text:>{width}}" for text, width in zip(texts, (13, 10, 7, 6, 6), strict=True))
            print(f"{way:18}{times}  {rule.name:10}{found.normals:8}{cells}{found.reason and '  ' + found.reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="demo", help="a dataset's name, or a folder")
    parser.add_argument("--recipe", default="patchcore-lite")
    for slot in SLOTS:
        parser.add_argument(f"--{slot}", metavar="NAME", help=f"another {slot} for the recipe")
    parser.add_argument("--category", help="one category alone")
    parser.add_argument("--limit-train", type=int, metavar="N")
    parser.add_argument("--alpha", type=float, default=0.05)
    chosen = parser.parse_args()
    dataset = dataset_from(installed(), chosen.data)
    rules = [Rule("conformal", chosen.alpha), Rule("quantile", chosen.alpha), Rule("sigma")]
    for category in [chosen.category] if chosen.category else dataset.categories():
        with tempfile.TemporaryDirectory() as scratch:
            show(category, unit_of(chosen, dataset, category, Path(scratch)), rules)


if __name__ == "__main__":
    main()
