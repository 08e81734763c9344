"""A frozen network that a model of anomalib's brings itself, with the weights that the options name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adbench.weights import is_head, load_strictly

if TYPE_CHECKING:
    from torch import nn

    from adbench_anomalib.models.adapter import Setting


def encoder_maker(setting: Setting, after: tuple[str, ...]) -> Callable[..., nn.Module]:
    """What to call in place of anomalib's `TimmFeatureExtractor`, which would download its weights.

    Args:
        setting: the options; its random seed alone decides random weights.
        after: how the names begin of what the whole network has after the layers that are read.
    """

    def unused(name: str) -> bool:
        return is_head(name) or name.startswith(after)

    def made(**options: Any) -> nn.Module:
        from anomalib.models.components.feature_extractors import TimmFeatureExtractor

        source = setting.weights
        assert source is not None
        with source.seeded():
            encoder: Any = TimmFeatureExtractor(**{**options, "pre_trained": False})
        own = encoder.feature_extractor.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(encoder.feature_extractor, state, setting.who, unused)
        found: nn.Module = encoder.requires_grad_(requires_grad=False)
        return found

    return made
