"""Tunes a backbone to normal images, or recalls an earlier tuning that was the same."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from adbench.api.backbone import Backbone, Weights
from adbench.api.context import Context
from adbench.api.networks.weights import state_digest
from adbench.api.training.tuner import Trainable, Tuned, Tuner
from adbench.engine.features.contract import naming_component, require_type
from adbench.engine.features.image_loader import ImageLoader, SourceImage
from adbench.engine.features.sealed_stream import Seal
from adbench.engine.store.record import canonical_json
from adbench.engine.tuning.prepared_images import PreparedImages
from adbench.engine.tuning.tuned_network import TunedCache, TunedNetwork
from adbench.errors import ContractError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Tuning:
    """A tuning that is to be done.

    Attributes:
        tuner: not yet prepared.
        about: JSON that, with the images and the seed, decides the result: tuner, backbone, weights, preparation.
        loader: reads and prepares the images.
        images: normal ones, with their digests.
        ctx: seed, device, cache and progress.
    """

    tuner: Tuner
    about: Mapping[str, Any]
    loader: ImageLoader
    images: Sequence[SourceImage]
    ctx: Context

    @property
    def key(self) -> str:
        """The sha256 of everything that decides the tuned weights."""
        images = [image.digest for image in self.images]
        content = [dict(self.about), images, self.ctx.seed, torch.__version__]
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def apply(self, backbone: Backbone, cache: TunedCache, note: Callable[[str], None]) -> TunedNetwork:
        """Give a prepared backbone the tuned weights: those in the cache, or new ones.

        Args:
            backbone: prepared; it computes with the tuned weights afterwards.
            cache: keeps tuned networks.
            note: called with each sentence of the tuner.

        Raises:
            ContractError: the tuner broke a rule of its contract.
            AdbenchError: the tuner, or the dataset, raised it.
        """
        found = cache.get(self.key)
        if found is None:
            found = self._tuned(backbone)
            cache.put(self.key, found)
        for sentence in found.told.notes:
            note(f"{self.tuner.title}: {sentence}")
        with naming_component(backbone, "take"):
            backbone.take(found.state, found.weights)
        return found

    def _tuned(self, backbone: Backbone) -> TunedNetwork:
        """A new tuning."""
        started = time.perf_counter()
        with naming_component(backbone, "trainable"):
            trainable = backbone.trainable()
        before = _copied(trainable.network)
        told = self._told(trainable)
        after = _copied(trainable.network)
        self._check(before, after)
        weights = _weights_of(backbone, self.tuner, trainable.network, before, after)
        return TunedNetwork(after, weights, told, time.perf_counter() - started)

    def _told(self, trainable: Trainable) -> Tuned:
        tuner, seal = self.tuner, Seal()
        with naming_component(tuner, "prepare"):
            tuner.prepare(self.ctx)
        with seal.reopened(), naming_component(tuner, "tune"):
            told = tuner.tune(trainable, PreparedImages(self.loader, self.images, seal), self.ctx)
        _check_told(tuner, told)
        return told

    def _check(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
        """A tuned network has the form that it had, and finite weights."""
        same = {name: value.shape for name, value in before.items()}
        if {name: value.shape for name, value in after.items()} != same:
            raise ContractError(self.tuner.title, "tune() must keep the names and shapes of the network's weights")
        bad = [name for name, value in after.items() if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise ContractError(self.tuner.title, f"tune() must leave finite weights, but {bad[0]} is not finite")


def _check_told(tuner: Tuner, told: object) -> None:
    """Losses and facts are finite numbers."""
    require_type(tuner, "tune()", told, Tuned)
    assert isinstance(told, Tuned)
    for value in (*told.losses, *told.facts.values()):
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ContractError(tuner.title, f"tune() must tell finite losses and facts, got {value!r}")


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def _weights_of(
    backbone: Backbone, tuner: Tuner, network: nn.Module, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> Weights:
    """Name and sha256 of tuned weights; the backbone's own where nothing was changed.

    Where the backbone had random weights, these count as random still, if some parameters are as they were drawn.
    """
    own = backbone.weights()[0]
    if all(torch.equal(before[name], after[name]) for name in before):
        return own
    kept = [name for name, _ in network.named_parameters() if torch.equal(before[name], after[name])]
    tuned = f"{own.name}, tuned by {tuner.name}" if kept or not own.random else f"{tuner.name} from scratch, {own.name}"
    return Weights(tuned, state_digest(after))
