"""The rule that all others about a component's work build on: it does its work, and answers with the right types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from adbench import Features, Geometry, Measure, Scores, Split
from adbench.executor import Ending, Job
from adbench.testing.check import Rule, Subject, require
from adbench.testing.errands import repeat
from adbench.testing.exercise import extracted, fitted, stream_for
from adbench.testing.toy_data import Toys, toys
from adbench.testing.toy_network import ToyBatches, toy_trainable
from adbench.testing.toy_truth import TABLE, evidence
from adbench.training import Tuned

Answer = tuple[str, object, tuple[type, ...]]
"""A method as it was called, what it returned, and the types that its contract allows."""


def check_answers_have_their_types(subject: Subject[Any]) -> None:
    """It does its work on small images, and every method returns what the contract says."""
    for call, answer, allowed in _ANSWERS[subject.original.kind](subject.ready(), subject, toys()):
        wanted = " or ".join("None" if each is type(None) else each.__name__ for each in allowed)
        require(isinstance(answer, allowed), f"{call} returned {_type_of(answer)}; return {wanted}.")


def _type_of(answer: object) -> str:
    return "None" if answer is None else f"an object of type {type(answer).__name__}"


def _backbone(backbone: Any, _: Subject[Any], given: Toys) -> Iterator[Answer]:
    yield "extract(batch)", extracted(backbone, given.batch), (Features,)
    yield "weights()", backbone.weights(), (tuple, list)


def _bank(bank: Any, subject: Subject[Any], given: Toys) -> Iterator[Answer]:
    bank.fit(stream_for(bank, given), subject.ctx)
    state = bank.state()
    yield "state()", state, (Mapping,)
    for name, tensor in state.items():
        yield f"state()[{name!r}]", tensor, (Tensor,)
    yield "facts()", bank.facts(), (Mapping,)
    yield "weights()", bank.weights(), (tuple, list)


def _scorer(scorer: Any, subject: Subject[Any], given: Toys) -> Iterator[Answer]:
    bank = fitted(scorer, subject, given)
    yield "score(query, bank)", scorer.score(next(iter(given.test)), bank), (Scores,)


def _neck(neck: Any, subject: Subject[Any], given: Toys) -> Iterator[Answer]:
    if neck.learns:
        neck.fit(given.train, subject.ctx)
    yield "apply(features)", neck.apply(next(iter(given.test))), (Features,)


def _preprocessor(step: Any, _: Subject[Any], given: Toys) -> Iterator[Answer]:
    answer = step.apply(given.image, Geometry.whole(*given.image.shape[1:]))
    yield "apply(image, geometry)", answer, (tuple,)
    for name, part, wanted in zip(("the image", "the geometry"), answer, (Tensor, Geometry), strict=True):
        yield f"{name} of apply(image, geometry)", part, (wanted,)


def _augmenter(augmenter: Any, _: Subject[Any], given: Toys) -> Iterator[Answer]:
    yield "count", augmenter.count, (int,)
    yield "view(image, 0)", augmenter.view(given.image, 0), (Tensor,)


def _masker(masker: Any, _: Subject[Any], given: Toys) -> Iterator[Answer]:
    yield "mask(features)", masker.mask(next(iter(given.test))), (Tensor,)


def _aggregator(aggregator: Any, _: Subject[Any], given: Toys) -> Iterator[Answer]:
    yield "aggregate(scores)", aggregator.aggregate(given.scores), (Tensor,)


def _tuner(tuner: Any, subject: Subject[Any], _: Toys) -> Iterator[Answer]:
    yield "tune(trainable, images, ctx)", tuner.tune(toy_trainable(), ToyBatches(), subject.ctx), (Tuned,)


def _metric(metric: Any, _: Subject[Any], __: Toys) -> Iterator[Answer]:
    yield "measure(evidence)", metric.measure(evidence("noisy")), (Measure,)


def _dataset(dataset: Any, _: Subject[Any], __: Toys) -> Iterator[Answer]:
    categories = dataset.categories()
    yield "categories()", categories, (tuple, list)
    split = dataset.split(categories[0])
    yield "split(category)", split, (Split,)
    for sample in split.test[-1:]:
        yield "image(sample)", dataset.image(sample), (np.ndarray,)
        yield "mask(sample)", dataset.mask(sample), (np.ndarray, type(None))
        yield "digest(sample)", dataset.digest(sample), (str,)
    yield "revision()", dataset.revision(), (str,)


def _report(report: Any, _: Subject[Any], __: Toys) -> Iterator[Answer]:
    yield "render(tables)", report.render([TABLE]), (str,)


def _executor(executor: Any, _: Subject[Any], __: Toys) -> Iterator[Answer]:
    endings = executor.run(repeat, [Job("a job", "order")])
    yield "run(work, jobs)", endings, (Iterable,)
    for ending in endings:
        yield "run(work, jobs)'s element", ending, (Ending,)


_ANSWERS: dict[str, Callable[[Any, Subject[Any], Toys], Iterator[Answer]]] = {
    "aggregator": _aggregator,
    "augmenter": _augmenter,
    "backbone": _backbone,
    "bank": _bank,
    "dataset": _dataset,
    "executor": _executor,
    "masker": _masker,
    "metric": _metric,
    "neck": _neck,
    "preprocessor": _preprocessor,
    "report": _report,
    "scorer": _scorer,
    "tuner": _tuner,
}

RULES: tuple[Rule, ...] = (check_answers_have_their_types,)
