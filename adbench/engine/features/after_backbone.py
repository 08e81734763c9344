"""The steps between the backbone and the bank or scorer: necks and masker, called and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from adbench.api.features import Features
from adbench.api.stages import Masker, Neck
from adbench.engine.features.contract import check_foreground, check_neck, naming_component


def apply_necks(necks: Sequence[Neck], features: Features) -> Features:
    """Features after all necks, without gradients."""
    for neck in necks:
        with naming_component(neck, "apply"), torch.no_grad():
            features = check_neck(neck, features, neck.apply(features))
    return features


def find_object(
    masker: Masker | None, features: Features, found_nothing: Callable[[str], object] = lambda _: None
) -> Features:
    """Features with the foreground that the masker finds. Where it finds nothing, the whole image is the foreground.

    Args:
        masker: None for no foreground.
        features: of some images.
        found_nothing: called with the alias of each image in which the masker finds nothing.
    """
    if masker is None:
        return features
    with naming_component(masker, "mask"), torch.no_grad():
        foreground = masker.mask(features)
        check_foreground(masker, features, foreground)
        empty = ~foreground.flatten(1).any(dim=1)
    for alias, is_empty in zip(features.ids, empty.tolist(), strict=True):
        if is_empty:
            found_nothing(alias)
    return features.having(foreground=foreground | empty[:, None, None])
