"""The trunk of a timm model, cut off behind the last requested layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import timm
from timm.models import split_model_name_tag
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from adbench import UnknownName, UsageError, WeightsError
from adbench.weights import is_head, load_strictly
from adbench_timm.facts import TrunkFacts
from adbench_timm.folding import fold_batch_norms

if TYPE_CHECKING:
    from timm.models import PretrainedCfg


class Trunk(nn.Module):
    """The stages of a timm model up to the last requested one.

    Args:
        model: any timm model that has `forward_intermediates`; it is pruned and changed in place.
        layers: timm's feature indices or module names, such as ``2`` or ``"layer2"``.
        who: for messages.
        state: weights under the names of the whole model; those that the trunk does not use may be missing or of other
            shapes. None to keep the model's own.

    Raises:
        UsageError: the model gives no intermediate features.
        UnknownName: it has no such layer.
        WeightsError: the weights are those of another model.
    """

    def __init__(
        self, model: Any, layers: Sequence[int | str], who: str, state: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        if not hasattr(model, "forward_intermediates"):
            raise UsageError(f"{who}: timm's {type(model).__name__} gives no intermediate features; name another model")
        modules = [info["module"] for info in model.feature_info]
        self.indices = sorted({_index(layer, modules, who) for layer in layers})
        self._names = [modules[index] for index in self.indices]
        self._config: dict[str, Any] = model.pretrained_cfg
        whole = set(model.state_dict())
        model.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        if state is not None:
            load_strictly(model, state, who, lambda name: name in whole or is_head(name))
        self.model = model
        self.eval().requires_grad_(requires_grad=False)
        _cache_rotary_tables(model)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The blocks of the model, of growing depth; each stage counts as one where a model has stages.

        What was cut off behind the last layer is not among them.
        """
        found: list[nn.Module] = [one for name, one in self.model.named_children() if name.startswith("layer")]
        for name in ("blocks", "stages"):
            if isinstance(own := getattr(self.model, name, None), nn.Sequential | nn.ModuleList):
                found = list(own)
        return tuple(block for block in found if next(block.parameters(), None) is not None)

    def fold(self) -> None:
        """Fold batch norms into convolutions: the same function, faster, but no longer one to train."""
        fold_batch_norms(self)

    @property
    def facts(self) -> TrunkFacts:
        """What the backbone needs to know of it."""
        config = self._config
        sized = config.get("fixed_input_size", False) and not getattr(self.model, "dynamic_img_size", False)
        patch = getattr(getattr(self.model, "patch_embed", None), "patch_size", (1, 1))
        size = config["input_size"][1:] if sized else None
        return TrunkFacts(self._names, config["mean"], config["std"], size, patch)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The layers' maps [B, H_l, W_l, C_l] of normalised images [B, 3, H, W], then the mean of the last [B, C]."""
        model: Any = self.model
        maps: list[Tensor] = model.forward_intermediates(
            images, indices=self.indices, stop_early=True, intermediates_only=True, output_fmt="NCHW"
        )
        maps = [found.permute(0, 2, 3, 1).float().contiguous() for found in maps]
        return [*maps, maps[-1].mean(dim=(1, 2))]


def _cache_rotary_tables(model: Any) -> None:
    """Compute a grid's rotary table once: some models do it on the CPU at each call, which prevents CUDA graphs."""
    rope = getattr(model, "rope", None)
    if rope is not None:
        make = rope.get_embed
        cached = cache(lambda shape, **options: make(shape=shape and list(shape), **options))
        rope.get_embed = lambda shape=None, **options: cached(shape and tuple(map(int, shape)), **options)


def _index(layer: int | str, modules: Sequence[str], who: str) -> int:
    if isinstance(layer, int) and 0 <= layer < len(modules):
        return layer
    if layer in modules:
        return modules.index(str(layer))
    names = [f"{index} ({module})" for index, module in enumerate(modules)]
    raise UnknownName("layer", str(layer), names if isinstance(layer, int) else modules, f"of {who}")


def described(name: str, who: str) -> PretrainedCfg | None:
    """The description by timm of a model and its weights; None for a model without one.

    Raises:
        UnknownName: timm has no such model, or no such weights for it.
    """
    architecture, tag = split_model_name_tag(name)
    if not timm.is_model(architecture):
        raise UnknownName("model", name, timm.list_models(), f"of {who}")
    known = timm.list_pretrained(f"{architecture}.*") if tag else []
    if tag and name not in known:
        raise UnknownName("model", name, known, f"of {who}")
    return timm.get_pretrained_cfg(name)


def built(name: str, who: str) -> Any:
    """A timm model with initial weights, for images of any size if the model allows it.

    Raises:
        UnknownName: timm has no such model.
    """
    described(name, who)
    return _created(name, {})


def built_for(name: str, who: str, state: Mapping[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """A timm model with initial weights, and weights for it under its own names.

    Args:
        name: architecture and tag.
        who: for messages.
        state: weights in any form that timm itself converts for this model.

    Raises:
        UnknownName: timm has no such model.
        WeightsError: the weights are of no form that timm knows for it.
    """
    described(name, who)
    try:
        with _loading() as converted:
            overlay = {"state_dict": dict(state), "label_offset": 0}
            model = _created(name, {"pretrained": True, "pretrained_cfg_overlay": overlay})
    except (RuntimeError, LookupError, ValueError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{who}: the weights are not those of timm's {name} ({reason}); name their model") from None
    return model, dict(converted)


@contextmanager
def _loading() -> Iterator[dict[str, Tensor]]:
    """The weights that timm would load, without loading them: timm insists on the head."""
    found: dict[str, Tensor] = {}

    def note(_: nn.Module, state: Mapping[str, Tensor], *__: object, **___: object) -> _IncompatibleKeys:
        found.clear()
        found.update(state)
        return _IncompatibleKeys([], [])

    with patch.object(nn.Module, "load_state_dict", note):
        yield found


def _created(name: str, options: dict[str, Any]) -> Any:
    if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
        try:
            return timm.create_model(name, dynamic_img_size=True, **options)
        except TypeError:  # a transformer that is bound to one size
            pass
    return timm.create_model(name, **options)
