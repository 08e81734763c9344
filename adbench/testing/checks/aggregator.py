"""Rules for aggregators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from adbench import Aggregator, ImageScores
from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import close
from adbench.testing.reference_metrics import auroc
from adbench.testing.toy_data import NORMAL, toys


def check_one_score_an_image(subject: Subject[Aggregator]) -> None:
    """There is one finite float32 score for each image."""
    given = toys().scores
    for images in (given, given[:1]):
        scores = subject.ready().aggregate(images)
        require(scores.shape == (len(images),), f"For {len(images)} images it gave {list(scores.shape)}.")
        require(scores.dtype == torch.float32 and bool(scores.isfinite().all()), f"{scores.dtype}, or not finite.")


def check_order_does_not_matter(subject: Subject[Aggregator]) -> None:
    """Images in another order get the same scores in that order."""
    given = toys().scores
    aggregator = subject.ready()
    forward, backward = aggregator.aggregate(given), aggregator.aggregate(given[::-1])
    require(close(forward, backward.flip(0)), "They got others.")


def check_grids_may_differ(subject: Subject[Aggregator]) -> None:
    """Patch grids may differ between images."""
    given = toys().scores
    grids = [s.patches if i % 2 else _turned(s.patches) for i, s in enumerate(given)]
    mixed = [replace(s, patches=grid) for s, grid in zip(given, grids, strict=True)]
    require(bool(subject.ready().aggregate(mixed).isfinite().all()), "The scores are not finite.")


def check_perfect_and_reversed(subject: Subject[Aggregator]) -> None:
    """Images whose defect stands out score higher than the others (AUROC above 0.9), and lower with lower scores."""
    given = toys().scores
    aggregator = subject.ready()
    up, down = _auroc(aggregator, given), _auroc(aggregator, [_lowered(s) for s in given])
    require(up > 0.9, f"They reached {up:.3f}.")
    require(down < up, f"With the defects' scores below all others they reached {down:.3f}.")


def check_constant_and_ties(subject: Subject[Aggregator]) -> None:
    """Images with the same scores get the same score."""
    flat = [replace(s, patches=torch.full((6, 9), 0.5), image=0.5) for s in toys().scores]
    scores = subject.ready().aggregate([replace(s, vector=flat[0].vector) for s in flat])
    require(close(scores, scores[:1].expand_as(scores)), f"They got {scores.min():.4f} to {scores.max():.4f}.")


def check_alone_is_true(subject: Subject[Aggregator]) -> None:
    """Where `alone` is True, an image gets the same score with and without the others: so a detector can score it."""
    given = toys().scores
    aggregator = subject.ready()
    if not aggregator.alone:
        return
    apart = torch.cat([aggregator.aggregate([image]) for image in given])
    require(close(aggregator.aggregate(given), apart), "Scores depend on the other images; write alone = False.")


def _turned(patches: Tensor | None) -> Tensor | None:
    return None if patches is None else patches.T[1:].contiguous()


def _lowered(scores: ImageScores) -> ImageScores:
    """The image with its map turned upside down."""
    assert scores.patches is not None
    assert scores.image is not None
    return replace(scores, patches=-scores.patches, image=-scores.image)


def _auroc(aggregator: Aggregator, images: Sequence[ImageScores]) -> float:
    truth = torch.arange(len(images)) >= NORMAL
    return auroc(truth.numpy(), aggregator.aggregate(images).cpu().numpy())


RULES: dict[str, tuple[Rule, ...]] = {
    "aggregator": (
        check_one_score_an_image,
        check_order_does_not_matter,
        check_grids_may_differ,
        check_perfect_and_reversed,
        check_constant_and_ties,
        check_alone_is_true,
    )
}
