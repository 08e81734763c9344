"""Scores of normal images that the bank has not seen, which is all that a threshold may be made of.

Every training image that is judged here was left out of the fit before. Features come from where they are kept, so that
a fold costs the fit of a bank and the scoring of its images. With many images one fit on 80 % of them will do; with
few, each image is left out once, which costs about K fits of a small bank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.features import FeatureStream, ImageScores
from adbench.engine.contract import is_out_of_memory
from adbench.engine.method import Method, split_scores
from adbench.engine.threshold import NormalScores, Rule
from adbench.engine.twins import groups_of
from adbench.errors import AdbenchError, UnitTimeout

HELD_OUT = 0.2
"""The share of the training images that is held out where there are many."""
MANY = 200
"""From so many training images on, one fit will do: 40 of them decide the threshold."""
FOLDS = 5

Look = Callable[[Sequence[Sample]], FeatureStream]
"""Starts a stream of what the backbone sees in some images."""


@dataclass(frozen=True)
class Fold:
    """Images to learn from, in their order, and images to judge then."""

    learn: tuple[Sample, ...]
    judge: tuple[Sample, ...]


def normal_scores(
    make: Callable[[], Method],
    samples: Sequence[Sample],
    digests: Mapping[str, str],
    learn: Look,
    look: Look,
    ctx: Context,
    expect: Callable[[Sequence[Fold]], None] = lambda _: None,
) -> NormalScores:
    """Scores of normal images, each by a bank that was fitted without it.

    What cannot be done is a reason, not an error: a result without a threshold is still a result.

    Args:
        make: a method, prepared and not fitted; called once a fold.
        samples: the normal training images.
        digests: the content of each, by id.
        learn: what the backbone sees in some of them to learn from, in every view.
        look: what it sees in some of them to be judged.
        ctx: of the unit; decides who is left out.
        expect: told before the first fit which folds there are.

    Raises:
        UnitTimeout: the unit's time is up.
    """
    source, folds = folds_of(samples, digests, ctx)
    try:
        method = make()
        reason = _why_not(method, samples, folds)
        if reason:
            return NormalScores(np.zeros(0, np.float32), source, reason)
        expect(folds)
        parts = [_judged(method if fold is folds[0] else make(), fold, learn, look, ctx) for fold in folds]
    except UnitTimeout:
        raise
    except Exception as error:
        if not isinstance(error, AdbenchError) and not is_out_of_memory(error):
            raise
        why = str(error) if isinstance(error, AdbenchError) else "the method runs out of memory"
        return NormalScores(np.zeros(0, np.float32), source, f"fitted on fewer images, {why}")
    return NormalScores(np.concatenate(parts), source)


def too_few_for(
    method: Method, rule: Rule, samples: Sequence[Sample], digests: Mapping[str, str], ctx: Context
) -> NormalScores | None:
    """As `too_few`; None also where the method gives no scores for another reason."""
    _, folds = folds_of(samples, digests, ctx)
    return None if _why_not(method, samples, folds) else too_few(rule, samples, digests, ctx)


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


def _why_not(method: Method, samples: Sequence[Sample], folds: Sequence[Fold]) -> str:
    if method.bank.learns_from is Source.TEST:
        return "the bank learns from the test images: no normal image can be left out of it"
    if not method.walks(Source.TRAIN):
        return "the method learns from no normal image, and a threshold would have to"
    if len(samples) > 1 and not folds[0].learn:
        return "all normal images have one content, and it cannot be learned from and judged"
    return "a single normal image cannot be learned from and judged" if len(samples) < 2 else ""


def _judged(method: Method, fold: Fold, learn: Look, look: Look, ctx: Context) -> np.ndarray:
    """[N] float32 scores of the images that the fold leaves out."""
    nothing = look(())
    method.fit({Source.TRAIN: learn(fold.learn), Source.TEST: nothing, Source.NOTHING: nothing}, ctx)
    images: list[ImageScores] = []
    for features in look(fold.judge):
        images += split_scores(*method.score(features))
    scores: np.ndarray = method.aggregate(images).detach().float().cpu().numpy()
    return scores
