"""The steps between the backbone and the bank or scorer: necks and masker, called and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from adbench.api.features import Features
from adbench.api.stages import Masker, Neck
from adbench.engine.features.contract import check_foreground, check_neck, naming_component
from adbench.engine.features.ignoring import ignored_patches


def apply_necks(necks: Sequence[Neck], features: Features) -> Features:
    """Features after all necks, without gradients."""
    for neck in necks:
        with naming_component(neck, "apply"), torch.no_grad():
            features = check_neck(neck, features, neck.apply(features))
    return features


def layer_widths(necks: Sequence[Neck], features: Features) -> Mapping[str, int] | None:
    """How many channels of the patches come from each layer, in order.

    Args:
        necks: in order.
        features: as the backbone gives them.

    Returns:
        None where the patches are no layers side by side, or a neck does not say what it does with their channels.
    """
    widths: Mapping[str, int] | None = None
    for neck in necks:
        if features.layers is not None:
            widths = {name: layer.shape[-1] for name, layer in features.layers.items()}
        features = apply_necks([neck], features)
        widths = None if widths is None else neck.widths_after(widths)
    if widths is None or features.layers is not None or features.patches is None:
        return None
    return widths if sum(widths.values()) == features.patches.shape[-1] else None


def find_object(
    masker: Masker | None, features: Features, found_nothing: Callable[[str], object] = lambda _: None
) -> Features:
    """Features with the foreground that the masker finds, without ignored patches.

    Where it finds nothing, the whole image is the foreground.

    Args:
        masker: None for a foreground only where patches are ignored: all others.
        features: of some images.
        found_nothing: called with the alias of each image in which the masker finds nothing.
    """
    ignored = ignored_patches(features, None if features.patches is None else features.patches.shape[1:3])
    if masker is None:
        return features if ignored is None else features.having(foreground=~ignored)
    with naming_component(masker, "mask"), torch.no_grad():
        foreground = masker.mask(features)
        check_foreground(masker, features, foreground)
        looked_at = torch.ones_like(foreground) if ignored is None else ~ignored.to(foreground.device)
        empty = ~(foreground & looked_at).flatten(1).any(dim=1)
    for alias, is_empty in zip(features.ids, empty.tolist(), strict=True):
        if is_empty:
            found_nothing(alias)
    return features.having(foreground=seen(foreground, looked_at))


def seen(found: Tensor, looked_at: Tensor) -> Tensor:
    """[B, H, W] bool: the patches that count: of an object, or all where none of it is looked at.

    Args:
        found: [B, H, W] bool, where the masker finds the object.
        looked_at: [B, H, W] bool, the patches that are not ignored.
    """
    foreground = found & looked_at
    empty = ~foreground.flatten(1).any(dim=1)
    return foreground | (empty[:, None, None] & looked_at)
