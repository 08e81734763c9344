"""Scores of normal images that the bank has not seen, which is all that a threshold may be made of.

Every training image that is judged here was left out of the fit before. Features come from where they are kept, so that
a fold costs the fit of a bank and the scoring of its images. With many images one fit on 80 % of them will do; with
few, each image is left out once, which costs about K fits of a small bank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.features import Features, FeatureStream, ImageScores
from adbench.engine.evaluate.folds import Fold, folds_of, too_few
from adbench.engine.features.contract import is_out_of_memory
from adbench.engine.plan.aliases import with_ids
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.process.scratch import delete
from adbench.engine.run.method import Method, split_scores
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.store.normal_scores import NormalScores
from adbench.errors import AdbenchError, UnitTimeout
from adbench.registration.registry import Registry

Hear = Callable[[Features, Sequence[ImageScores]], None]
"""Told what the backbone sees in some judged images, and their scores."""

Look = Callable[[Sequence[Sample]], FeatureStream]
"""Starts a stream of what the backbone sees in some images."""


def normal_scores_of(
    unit: PreparedUnit,
    rule: Rule | None,
    registry: Registry,
    watch: Watch,
    hear: Hear = lambda _features, _scores: None,
) -> NormalScores | None:
    """Scores of a unit's normal training images; None where no threshold is wanted.

    Args:
        unit: what is run.
        rule: how a threshold follows from the scores.
        registry: makes a new method for each fold.
        watch: told how far the folds are.
        hear: told the scores of each batch of judged images, in the order of the result.
    """
    if rule is None:
        return None
    task, progress, aside = unit.task, StageProgress(watch, "threshold"), unit.aside("threshold")
    images = task.train, task.digests

    def expect(folds: Sequence[Fold]) -> None:
        progress.total = sum(unit.method.looks(len(fold.learn), 0) + len(fold.left_out) for fold in folds)

    learn, look = (partial(way, progress=progress.seen) for way in (aside.training_images, aside.images))
    make = partial(_new_method, aside, registry)
    with unit.clock.measure("threshold"), progress.running():
        scores = too_few_for(unit.method, rule, *images, aside.ctx) or normal_scores(
            make, *images, learn, look, aside.ctx, expect, hear=hear
        )
    return replace(scores, reason=with_ids(scores.reason, task.aliases))


def _new_method(unit: PreparedUnit, registry: Registry) -> Method:
    """The method of a unit, not fitted, with an empty folder for its files."""
    delete(unit.ctx.workdir)
    unit.ctx.workdir.mkdir()
    method = replace(
        Method.of(components_of(unit.unit.recipe, registry), unit.unit.recipe.map), backbone=unit.method.backbone
    )
    method.prepare(unit.ctx)
    return method


def normal_scores(
    make: Callable[[], Method],
    samples: Sequence[Sample],
    digests: Mapping[str, str],
    learn: Look,
    look: Look,
    ctx: Context,
    expect: Callable[[Sequence[Fold]], None] = lambda _: None,
    *,
    hear: Hear = lambda _features, _scores: None,
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
        hear: told the scores of each batch of judged images, in the order of the result.

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
        parts = [_fold_scores(method if fold is folds[0] else make(), fold, learn, look, ctx, hear) for fold in folds]
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


def _why_not(method: Method, samples: Sequence[Sample], folds: Sequence[Fold]) -> str:
    if method.bank.learns_from is Source.TEST:
        return "the bank learns from the test images: no normal image can be left out of it"
    if not method.walks(Source.TRAIN):
        return "the method learns from no normal image, and a threshold would have to"
    if len(samples) > 1 and not folds[0].learn:
        return "all normal images have one content, and it cannot be learned from and judged"
    return "a single normal image cannot be learned from and judged" if len(samples) < 2 else ""


def _fold_scores(method: Method, fold: Fold, learn: Look, look: Look, ctx: Context, hear: Hear) -> np.ndarray:
    """[N] float32 scores of the images that the fold leaves out."""
    nothing = look(())
    method.fit({Source.TRAIN: learn(fold.learn), Source.TEST: nothing, Source.NOTHING: nothing}, ctx)
    images: list[ImageScores] = []
    for features in look(fold.left_out):
        scored = split_scores(*method.score(features))
        hear(features, scored)
        images += scored
    scores: np.ndarray = method.aggregate(images).detach().float().cpu().numpy()
    return scores
