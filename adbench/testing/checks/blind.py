"""Rules that find an oracle: a component whose answers depend on what images are called, or on their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adbench import Aggregator, Backbone, Bank, Batch, Component, Features, ImageScores, Masker, Neck, Scorer
from adbench.testing.check import Rule, Subject, Unavailable, require
from adbench.testing.exercise import close, extracted, fitted, stream_for
from adbench.testing.partners import toy_scorer_for
from adbench.testing.toy_data import NORMAL, Toys, ToyStream, names, pick, toys

Answer = dict[str, Tensor]
"""Tensors by name, the first dimension of each being the test images in order."""


def check_ids_do_not_matter(subject: Subject[Component]) -> None:
    """What images are called makes no difference, be it hexadecimal digits or the path of a defective image."""
    before = _answer(subject, toys())
    for called in (partial(names, "other"), _good, _mixed):
        after = _answer(subject, _renamed(toys(), called))
        _require_equal(before, after, f"It answers otherwise where images are called {called(NORMAL + 1)[-1]!r}.")


def check_order_is_irrelevant(subject: Subject[Component]) -> None:
    """The order of the test images makes no difference."""
    order = torch.randperm(len(toys().test), generator=torch.Generator().manual_seed(7)).tolist()
    before, after = _answer(subject, toys()), _answer(subject, toys(), order)
    _require_equal(before, after, "It answers otherwise where the test images come in another order.")


def _require_equal(before: Answer, after: Answer, seen: str) -> None:
    require(before.keys() == after.keys() and all(close(before[name], after[name]) for name in before), seen)


def _good(count: int) -> tuple[str, ...]:
    return tuple(f"toy/test/good/{number:03}" for number in range(count))


def _mixed(count: int) -> tuple[str, ...]:
    """Paths that tell the labels of the toys."""
    folders = ("good" if number < NORMAL else "crack" for number in range(count))
    return tuple(f"toy/test/{folder}/{number:03}" for number, folder in enumerate(folders))


def _renamed(given: Toys, called: Callable[[int], Sequence[str]]) -> Toys:
    """The toys with other names."""
    test = tuple(called(len(given.test)))
    return replace(
        given,
        train=ToyStream(given.train.features.having(ids=tuple(f"{name}-train" for name in test))),
        test=ToyStream(given.test.features.having(ids=test)),
        labelled=_renamed_labels(given.labelled, [f"{name}-labelled" for name in called(len(given.labelled))]),
        batch=replace(given.batch, ids=test[-len(given.batch) :]),
        scores=tuple(replace(one, id=name) for one, name in zip(given.scores, test, strict=True)),
    )


def _renamed_labels(stream: ToyStream, ids: Sequence[str]) -> ToyStream:
    """A labelled stream with other names and the same classes."""
    labels = {new: stream.labels[old] for old, new in zip(stream.ids, ids, strict=True)}
    return ToyStream(stream.features.having(ids=tuple(ids)), labels=labels)


def _answer(subject: Subject[Any], given: Toys, order: Sequence[int] | None = None) -> Answer:
    """The answers of a component for each test image; for another order, sorted back.

    Args:
        subject: made anew.
        given: the toys.
        order: in which the images come, as places in the toys; None for their own.
    """
    component = subject.ready()
    places = list(range(len(given.test))) if order is None else list(order)
    answers = list(_ANSWERS[component.kind](component, subject, given, places))
    back = sorted(range(len(answers)), key=lambda index: answers[index][0])
    return {name: torch.cat([answers[index][1][name] for index in back]) for name in (answers[0][1] if answers else ())}


Said = Iterator[tuple[int, Answer]]


def _one(given: Toys, place: int) -> Features:
    """The features of one test image."""
    return pick(given.test.features, slice(place, place + 1))


def _one_of(batch: Batch, place: int) -> Batch:
    """One image of a batch."""
    here = slice(place, place + 1)
    return Batch(batch.ids[here], batch.images[here], batch.geometry[here])


def _tensors(features: Features) -> Answer:
    named = {"patches": features.patches, "image": features.image, **(features.layers or {})}
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _scorer(scorer: Scorer, subject: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    bank = fitted(scorer, subject, given)
    yield from _scored(scorer, bank, given, places)


def _scored(scorer: Scorer, bank: Bank, given: Toys, places: Sequence[int]) -> Said:
    for place in places:
        scores = scorer.score(_one(given, place), bank)
        named = {"patches": scores.patches, "image": scores.image}
        yield place, {name: tensor for name, tensor in named.items() if tensor is not None}


def _bank(bank: Bank, subject: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    """A bank by what the toy scorer of its kind makes of it."""
    scorer = toy_scorer_for(bank)
    if scorer is None:
        raise Unavailable("no toy scorer reads banks of this kind")
    bank.fit(stream_for(bank, given), subject.ctx)
    yield from _scored(scorer, bank, given, places)


def _neck(neck: Neck, subject: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    if neck.learns:
        neck.fit(given.train, subject.ctx)
    for place in places:
        yield place, _tensors(neck.apply(_one(given, place)))


def _masker(masker: Masker, _: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    for place in places:
        yield place, {"mask": masker.mask(_one(given, place)).float()}


def _backbone(backbone: Backbone, _: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    for place in (place for place in places if place < len(given.batch)):
        yield place, _tensors(extracted(backbone, _one_of(given.batch, place)))


def _aggregator(aggregator: Aggregator, _: Subject[Any], given: Toys, places: Sequence[int]) -> Said:
    images: list[ImageScores] = [given.scores[place] for place in places]
    for place, score in zip(places, aggregator.aggregate(images), strict=True):
        yield place, {"score": score[None]}


_ANSWERS: dict[str, Callable[[Any, Subject[Any], Toys, Sequence[int]], Said]] = {
    "aggregator": _aggregator,
    "backbone": _backbone,
    "bank": _bank,
    "masker": _masker,
    "neck": _neck,
    "scorer": _scorer,
}

RULES: dict[str, tuple[Rule, ...]] = dict.fromkeys(_ANSWERS, (check_ids_do_not_matter, check_order_is_irrelevant))
