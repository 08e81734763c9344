"""Folds of normal images: the bank of a fold scores images that were left out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.engine.images.twins import groups_of
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.store.normal_scores import NormalScores

HELD_OUT = 0.2
"""The share of held-out training images if there are many."""


MANY = 200
"""Number of training images from which one fit is enough: 40 of them decide the threshold."""


FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """A fold: images to learn from, in their order, and left-out images to score."""

    learn: tuple[Sample, ...]
    left_out: tuple[Sample, ...]


def too_few(rule: Rule, samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context) -> NormalScores | None:
    """Empty normal scores with the reason, if there are too few images for a rule; known before any fit.

    Args:
        rule: of the threshold.
        samples: the normal training images.
        digests: the content of each, by id.
        ctx: of the unit; its seed chooses the images to leave out.

    Returns:
        Empty scores with the reason; None if there are enough images.
    """
    source, folds = folds_of(samples, digests, ctx)
    reason = rule.lacks(sum(len(fold.left_out) for fold in folds))
    return NormalScores(np.zeros(0, np.float32), source, reason, made=False) if reason else None


def folds_of(samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context) -> tuple[str, list[Fold]]:
    """The source of the normal scores, in words, and the folds; images are left out at random, for the conformal bound.

    Images of one content are left out together, because a bank that has learned one of them knows the other.
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
    """The first groups in order with at most `images` images together, or the smallest group if all are larger."""
    taken, count = [], 0
    for group in order:
        if count + len(groups[group]) <= images:
            taken.append(group)
            count += len(groups[group])
    return taken or [min(order, key=lambda group: len(groups[group]))]


def _fold(samples: Sequence[Sample], left_out: set[int]) -> Fold:
    return Fold(
        tuple(sample for index, sample in enumerate(samples) if index not in left_out),
        tuple(sample for index, sample in enumerate(samples) if index in left_out),
    )
