"""Rules for scorers."""

from __future__ import annotations

import torch

from adbench import Scorer, Scores
from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import close, fitted
from adbench.testing.reference_metrics import auroc
from adbench.testing.toy_data import Toys, ToyStream, pick, toys


def check_scores_have_their_shapes(subject: Subject[Scorer]) -> None:
    """`score` fills what `gives` names: patches [B, H, W], image [B] and classes [B, K], finite float32."""
    given = toys()
    scores = _scores(subject, given)
    named = {"patches": scores.patches, "image": scores.image, "classes": scores.classes}
    promised = subject.original.gives(subject.original.config)
    require({name for name, tensor in named.items() if tensor is not None} == promised, f"It gives {sorted(promised)}.")
    shapes = {"patches": given.truth.shape, "image": given.truth.shape[:1], "classes": given.truth.shape[:1]}
    for name in promised & named.keys():
        tensor = named[name]
        assert tensor is not None
        shape = tensor.shape[:1] if name == "classes" else tensor.shape
        require(shape == shapes[name], f"{name} is {list(tensor.shape)}, not {list(shapes[name])}.")
        require(tensor.dtype == torch.float32, f"{name} is {tensor.dtype}.")
        require(bool(tensor.isfinite().all()), f"{name} is not finite.")
    if scores.classes is not None:
        sums = scores.classes.sum(1)
        fine = bool((scores.classes >= 0).all()) and close(sums, torch.ones_like(sums))
        require(scores.classes.ndim == 2 and scores.classes.shape[1] >= 2 and fine, "classes are no probabilities.")


def check_planted_defect_is_found(subject: Subject[Scorer]) -> None:
    """Planted defects score higher than normal patches, and images with them higher than others (AUROC above 0.9)."""
    given = toys()
    scores = _scores(subject, given)
    truths = {"patches": given.truth, "image": given.truth.any(dim=2).any(dim=1)}
    for name, truth in truths.items():
        scored = getattr(scores, name)
        if scored is not None:
            reached = auroc(truth.numpy().ravel(), scored.cpu().numpy().ravel())
            require(reached > 0.9, f"Its {name} scores reached {reached:.3f}.")


def check_scores_do_not_depend_on_the_batch(subject: Subject[Scorer]) -> None:
    """An image's scores are the same alone, in a batch, and in any order."""
    given = toys()
    together = _scores(subject, given)
    scorer, bank = subject.ready(), fitted(subject.original, subject, given)
    for i in reversed(range(len(given.test))):
        alone = scorer.score(pick(given.test.features, slice(i, i + 1)), bank)
        for name in ("patches", "image", "classes"):
            one, all_of_them = getattr(alone, name), getattr(together, name)
            same = one is None if all_of_them is None else close(one, all_of_them[i : i + 1])
            require(same, f"{name} of image {i} alone differ from those among {len(given.test)}.")


def check_comparison_adds_up(subject: Subject[Scorer]) -> None:
    """`compare` gives shares that add up to 1, one for each channel of the patch, and names a known image."""
    given = toys()
    scorer, bank = subject.ready(), fitted(subject.original, subject, given)
    if "patches" not in scorer.gives(scorer.config):
        return
    query = pick(given.test.features, slice(1))
    found = scorer.compare(query, bank, (2, 3))
    for name, shares in (("channels", found.channels), ("modes", found.modes)):
        if shares is not None:
            total = float(shares.sum())
            require(bool((shares >= 0).all()) and abs(total - 1) < 1e-4, f"Those of {name} are {total:.4g} together.")
    channels = query.need_patches(scorer.title).shape[-1]
    require(found.channels is None or found.channels.shape == (channels,), f"There are {channels} channels.")
    require(found.distance is None or 0 <= found.distance < torch.inf, f"The distance is {found.distance}.")
    known = {*given.train.ids, *given.test.ids}
    require(found.nearest is None or found.nearest.image in known, "No image has the name of the nearest patch's.")


def _scores(subject: Subject[Scorer], given: Toys) -> Scores:
    """Scores of all test images in one batch."""
    scorer, bank = subject.ready(), fitted(subject.original, subject, given)
    (whole,) = ToyStream(given.test.features, batch=len(given.test))
    return scorer.score(whole, bank)


RULES: dict[str, tuple[Rule, ...]] = {
    "scorer": (
        check_scores_have_their_shapes,
        check_planted_defect_is_found,
        check_scores_do_not_depend_on_the_batch,
        check_comparison_adds_up,
    )
}
