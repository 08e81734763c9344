"""The bank of one coreset for each layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Component, ContractError, DataError, EnergyBank, Features, FeatureStream, Field, UsageError
from adbench.banks import require_room
from adbench.coresets import distinct, greedy_k_center
from adbench.search import ExactIndex, RecordableIndex

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context

FEWER = "name fewer layers, or use fewer or smaller images"


class LayerCoresets(EnergyBank):
    """A greedy k-center coreset of the patch vectors of each layer, and the mean distance to all of them.

    An energy is the mean over the layers of the Euclidean distance to the nearest kept vector of the same layer, a
    channel: divided by their number, as in SuperADD (arXiv 2605.14808). Distances of coarser layers are
    enlarged bilinearly to the finest grid.
    """

    name: ClassVar[str] = "layer-coresets"
    needs: ClassVar[frozenset[str]] = frozenset({"layers"})

    class Config(Component.Config):
        """Options."""

        count: int = Field(100_000, ge=1, description="vectors to keep of each layer; all where there are fewer")

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}
        self._indices: Mapping[str, ExactIndex | RecordableIndex] = {}

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Select the vectors of each layer.

        Raises:
            DataError: the stream is empty.
            ContractError: layers are missing, change, or are not finite.
            UsageError: the vectors do not fit into memory.
        """
        kept = {}
        for name, rows in _rows_of(features, ctx.device, self.title).items():
            start = int(ctx.rng(f"layer-coresets/{name}").integers(len(rows)))
            kept[name] = rows[distinct(greedy_k_center(rows, min(self.config.count, len(rows)), start))]
        self.restore(kept)

    def energy(self, features: Features) -> Tensor:
        """[B, H, W] float32 on the finest layer's grid.

        Raises:
            UsageError: nothing was learned yet, or other layers were.
        """
        import torch
        from torch.nn.functional import interpolate

        layers = features.need_layers(self.title)
        finest = max(tuple(layer.shape[1:3]) for layer in layers.values())
        maps = [self._distances(name, layer)[:, None] for name, layer in layers.items()]
        fine = [one if one.shape[2:] == finest else interpolate(one, size=finest, mode="bilinear") for one in maps]
        mean: Tensor = torch.cat(fine, 1).mean(1)
        return mean

    def _distances(self, name: str, layer: Tensor) -> Tensor:
        """[B, h, w]: the distances of one layer [B, h, w, C] to its nearest vectors, a channel."""
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        known = self._learned.get(name)
        if known is None or known.shape[1] != layer.shape[-1]:
            raise UsageError(f"{self.title} learned no layer {name!r} of {layer.shape[-1]} channels; fit it anew")
        nearest, _ = self._indices[name].search(layer.flatten(0, 2).to(known), 1)
        return nearest[:, 0].reshape(layer.shape[:3]) / layer.shape[-1]

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = {name: rows.to(self._device) for name, rows in state.items()}
        self._indices = {name: ExactIndex(rows) for name, rows in self._learned.items()}

    def for_export(self) -> LayerCoresets:
        """The bank with a search that is one matrix product a layer."""
        twin = copy(self)
        twin._indices = {name: RecordableIndex(rows) for name, rows in self._learned.items()}  # noqa: SLF001  its own
        return twin

    def facts(self) -> Mapping[str, float]:
        """The number of vectors of all layers."""
        return {"vectors": float(sum(map(len, self._learned.values())))}


def _rows_of(features: FeatureStream, device: str, who: str) -> dict[str, Tensor]:
    """The patch vectors [N, C] of each layer."""
    import torch

    parts: dict[str, list[Tensor]] = defaultdict(list)
    for batch in features:
        layers = batch.need_layers(who)
        if not parts:
            values = sum(layer[0].numel() for layer in layers.values()) * len(features)
            require_room(2.3 * 4 * values, f"{who} with {values:,} values", FEWER, device)
        if parts and parts.keys() != layers.keys():
            raise ContractError("the backbone or a neck", f"all images have the same layers, but {who} got others")
        for name, layer in layers.items():
            if not layer.isfinite().all():
                raise ContractError("the backbone or a neck", f"features must be finite, but layer {name!r} is not")
            parts[name].append(layer.flatten(0, 2).float())
    if not parts:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")
    return {name: torch.cat(rows).to(device) for name, rows in parts.items()}
