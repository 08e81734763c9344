"""The components of a fitted method in the form in which an export can record them."""

from __future__ import annotations

from dataclasses import replace

from adbench.engine.run.method import Method
from adbench.errors import UsageError


def recordable(method: Method) -> Method:
    """The method with components that consist of tensor operations alone.

    Args:
        method: fitted.

    Raises:
        UsageError: a component has no such form; the message says why in one sentence.
    """
    if method.masker is not None and method.masker.config.test == "drop":
        raise UsageError(
            f"{method.masker.title} with test=drop cannot be exported: how many patches are left depends on the image;"
            " fit it with test=lowest"
        )
    if method.map.shaping is not None:
        raise UsageError(
            "a map with floor or morphology cannot be exported: its steps are no matrix products; fit without them"
        )
    return replace(
        method,
        preprocess=tuple(step.for_export() for step in method.preprocess),
        backbone=method.backbone.for_export(),
        necks=tuple(neck.for_export() for neck in method.necks),
        masker=None if method.masker is None else method.masker.for_export(),
        bank=method.bank.for_export(),
        scorer=method.scorer.for_export(),
        aggregator=method.aggregator.for_export(),
        augmenter=None,
    )
