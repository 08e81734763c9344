"""Runs a component of any kind on the toys, and compares its results bit by bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adbench import (
    Aggregator,
    Augmenter,
    Backbone,
    Bank,
    Batch,
    Component,
    Dataset,
    Features,
    Geometry,
    Masker,
    Metric,
    Neck,
    Preprocessor,
    Scorer,
    Source,
    UsageError,
)
from adbench.executor import Executor, Job
from adbench.reports import Report
from adbench.testing.check import Subject
from adbench.testing.errands import repeat
from adbench.testing.partners import bank_for, prepared_as_named
from adbench.testing.toy_data import Toys, ToyStream
from adbench.testing.toy_network import ToyBatches, toy_trainable
from adbench.testing.toy_truth import TABLE, evidence
from adbench.training import Tuner


def exercise(subject: Subject[Any], toys: Toys) -> object:
    """The results of a new component on the toys: nested tensors, numbers and texts."""
    component: Component = subject.ready()
    return _EXERCISES[component.kind](component, subject, toys)


def stream_for(bank: Bank, toys: Toys) -> ToyStream:
    """The stream that a bank learns from."""
    return {Source.TEST: toys.test, Source.LABELLED: toys.labelled}.get(bank.learns_from, toys.train)


def fitted(scorer: Scorer, subject: Subject[Any], toys: Toys) -> Bank:
    """A fitted bank that the scorer reads."""
    bank = bank_for(scorer)
    bank.prepare(subject.ctx)
    bank.fit(stream_for(bank, toys), subject.ctx)
    return bank


def _bank(bank: Bank, subject: Subject[Any], toys: Toys) -> object:
    bank.fit(stream_for(bank, toys), subject.ctx)
    return bank.state()


def _scorer(scorer: Scorer, subject: Subject[Any], toys: Toys) -> object:
    bank = fitted(scorer, subject, toys)
    return [scorer.score(part, bank) for part in toys.test]


def _neck(neck: Neck, subject: Subject[Any], toys: Toys) -> object:
    if neck.learns:
        neck.fit(toys.train, subject.ctx)
    return [neck.apply(part) for part in toys.test]


def _backbone(backbone: Backbone, _: Subject[Any], toys: Toys) -> object:
    return extracted(backbone, toys.batch)


def extracted(backbone: Backbone, batch: Batch) -> Features:
    """The features of a batch."""
    try:
        return backbone.extract(batch)
    except UsageError:  # it cannot cut images of this size into patches: then as it wants them
        return backbone.extract(prepared_as_named(backbone, batch))


def _preprocessor(step: Preprocessor, _: Subject[Any], toys: Toys) -> object:
    return step.apply(toys.image, Geometry.whole(*toys.image.shape[1:]))


def _augmenter(augmenter: Augmenter, _: Subject[Any], toys: Toys) -> object:
    return [augmenter.view(toys.image, number) for number in range(augmenter.count)]


def _masker(masker: Masker, _: Subject[Any], toys: Toys) -> object:
    return [masker.mask(part) for part in toys.test]


def _aggregator(aggregator: Aggregator, _: Subject[Any], toys: Toys) -> object:
    return aggregator.aggregate(toys.scores)


def _tuner(tuner: Tuner, subject: Subject[Any], _: Toys) -> object:
    trainable = toy_trainable(subject.ctx.device)
    told = tuner.tune(trainable, ToyBatches(), subject.ctx)
    return told, dict(trainable.network.state_dict())


def _metric(metric: Metric, _: Subject[Any], __: Toys) -> object:
    return metric.measure(evidence("noisy"))


def _dataset(dataset: Dataset, _: Subject[Any], __: Toys) -> object:
    split = dataset.split(dataset.categories()[0])
    sample = split.test[-1]
    return split, dataset.image(sample), dataset.mask(sample), dataset.digest(sample), dataset.revision()


def _report(report: Report, _: Subject[Any], __: Toys) -> object:
    return report.render([TABLE])


def _executor(executor: Executor, _: Subject[Any], __: Toys) -> object:
    jobs = [Job(f"job {number}", str(number)) for number in range(3)]
    return sorted((ending.job.title, ending.answer) for ending in executor.run(repeat, jobs))


_EXERCISES: dict[str, Callable[[Any, Subject[Any], Toys], object]] = {
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


def fingerprint(value: object) -> str:
    """The sha256 of a nested value, tensors and arrays with their shape, type and bits."""
    digest = hashlib.sha256()
    _feed(digest.update, value)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], value: object) -> None:
    update(f"<{type(value).__name__}>".encode())
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, ToyStream):
        _feed(update, value.features)
    elif is_dataclass(value):
        _feed(update, {field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, Mapping):
        _feed(update, [item for key in sorted(value) for item in (key, value[key])])
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(update, item)
    else:
        update(repr(value).encode())


def close(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors agree but for rounding: to 1e-4 of the larger one's greatest value."""
    if left.shape != right.shape:
        return False
    scale = max(float(left.abs().max()), float(right.abs().max()), 1e-6) if left.numel() else 1.0
    return torch.allclose(left.double(), right.double(), rtol=0, atol=1e-4 * scale)
