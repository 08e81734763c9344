"""Which normal images are left out when, so that each is judged by a bank that has not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.twins import groups_of
from adbench.engine.store.normal_scores import NormalScores

HELD_OUT = 0.2
"""The share of the training images that is held out where there are many."""


MANY = 200
"""From so many training images on, one fit will do: 40 of them decide the threshold."""


FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Images to learn from, in their order, and images to judge then."""

    learn: tuple[Sample, ...]
    judge: tuple[Sample, ...]


def too_few(rule: Rule, samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context) -> NormalScores | None:
    """Why a rule could not use the scores of normal images, before anything is fitted for them: there are too few.

    Args:
        rule: of the threshold.
        samples: the normal training images.
        digests: the content of each, by id.
        ctx: of the unit; decides who is left out.

    Returns:
        No scores, with that reason; None where the rule can use them.
    """
    source, folds = folds_of(samples, digests, ctx)
    reason = rule.lacks(sum(len(fold.judge) for fold in folds))
    return NormalScores(np.zeros(0, np.float32), source, reason, made=False) if reason else None


def folds_of(samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context) -> tuple[str, list[Fold]]:
    """How the scores come about, in words, and who is left out when: at random, as the conformal bound asks for.

    Images of one content are left out together, since a bank that has learned one of them knows the other.
    """
    groups = groups_of(samples, digests)
    order = ctx.rng("threshold-folds").permutation(len(groups)).tolist()
    if len(samples) >= MANY:
        left_out = [_share(groups, order, round(HELD_OUT * len(samples)))]
        source = f"held-out {100 * HELD_OUT:.0f} %"
    else:
        left_out = [part.tolist() for part in np.array_split(order, min(FOLDS, len(order)))]
        source = f"cross-fitted k={len(left_out)}"
    return source, [_fold(samples, {place for group in part for place in groups[group]}) for part in left_out]


def _share(groups: Sequence[Sequence[int]], order: Sequence[int], images: int) -> list[int]:
    """The first groups in order that have no more images together; the smallest group where each has more."""
    taken, count = [], 0
    for group in order:
        if count + len(groups[group]) <= images:
            taken.append(group)
            count += len(groups[group])
    return taken or [min(order, key=lambda group: len(groups[group]))]


def _fold(samples: Sequence[Sample], judged: set[int]) -> Fold:
    return Fold(
        tuple(sample for index, sample in enumerate(samples) if index not in judged),
        tuple(sample for index, sample in enumerate(samples) if index in judged),
    )
