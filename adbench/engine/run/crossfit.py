"""Scores of normal images that the bank has not seen, which is all that a threshold may be made of.

Every training image that is judged here was left out of the fit before. Features come from where they are kept, so that
a fold costs the fit of a bank and the scoring of its images. With many images one fit on 80 % of them will do; with
few, each image is left out once, which costs about K fits of a small bank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.features import FeatureStream, ImageScores
from adbench.engine.evaluate.folds import Fold, folds_of, too_few
from adbench.engine.features.contract import is_out_of_memory
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.run.method import Method, split_scores
from adbench.engine.store.normal_scores import NormalScores
from adbench.errors import AdbenchError, UnitTimeout

Look = Callable[[Sequence[Sample]], FeatureStream]
"""Starts a stream of what the backbone sees in some images."""


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
