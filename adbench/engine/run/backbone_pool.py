"""The loaded backbone, and what decides its features of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adbench.api.backbone import Backbone, Weights
from adbench.api.component import Component
from adbench.api.context import Context
from adbench.engine.features.contract import naming_component
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.image_loader import ImageLoader, SourceImage
from adbench.engine.plan.settings import Settings
from adbench.engine.process.notes import Notes
from adbench.engine.process.scratch import Scratch
from adbench.engine.run.method import Method
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.store.provenance import device_name
from adbench.engine.store.record import canonical_json
from adbench.engine.tuning.tuned_network import FOLDER, TunedCache, TunedNetwork
from adbench.engine.tuning.tuning import Tuning
from adbench.errors import WeightsError
from adbench.registration.registry import Registry

TuningImages = tuple[ImageLoader, Sequence[SourceImage]]
"""What a tuner sees: normal images, and what reads and prepares them."""


@dataclass(frozen=True)
class LoadedBackbone:
    """A prepared backbone.

    Attributes:
        backbone: ready to extract.
        weights: what it runs on.
        about: JSON that decides the features of an image of given content.
        tuned: what a tuner made of its network; None without a tuner.
    """

    backbone: Backbone
    weights: Sequence[Weights]
    about: Mapping[str, Any]
    tuned: TunedNetwork | None = None


class BackbonePool:
    """Keeps the last backbone loaded, and remembers which ones cannot be loaded.

    Attributes:
        cache: where features are kept, or None.
    """

    def __init__(self, registry: Registry, settings: Settings, note: Callable[[str], None]) -> None:
        self._registry, self._settings, self._notes = registry, settings, Notes(note)
        folder = settings.cache
        self.cache = None if folder is None else FeatureCache(folder / "features", settings.cache_limit, note)
        self._tuned = TunedCache(None if folder is None else folder / FOLDER, self._notes)
        self._loaded: tuple[str, Backbone, Scratch, TunedNetwork | None] | None = None
        self._refused: dict[str, WeightsError] = {}

    def of(self, builder: RecordBuilder, method: Method, ctx: Context, images: TuningImages) -> LoadedBackbone:
        """The backbone of a method, prepared and tuned; the loaded one, if it would be the same.

        Args:
            builder: of the unit.
            method: not yet prepared.
            ctx: of the unit.
            images: what a tuner sees.

        Raises:
            WeightsError: its weights cannot be had; asked again, the pool says so at once.
            AdbenchError: its network cannot be tuned.
        """
        key = canonical_json([self.part(method.backbone), _context_of(method.backbone, ctx)])
        if key in self._refused:
            raise self._refused[key]
        tuning = self._tuning(builder, method, ctx, images)
        whole = key if tuning is None else f"{key} {tuning.key}"
        if self._loaded is None or self._loaded[0] != whole:
            self.close()
            scratch = Scratch()
            self._prepare(method.backbone, ctx, key, scratch)
            tuned = None if tuning is None else tuning.apply(method.backbone, self._tuned, self._notes.once)
            self._loaded = whole, method.backbone, scratch, tuned
        _, backbone, _, tuned = self._loaded
        return self._described(builder, method, backbone, ctx, tuning, tuned)

    def retuned(self, builder: RecordBuilder, method: Method, ctx: Context, images: TuningImages) -> LoadedBackbone:
        """A backbone of its own, tuned to other images; the loaded one stays.

        Args:
            builder: of the unit.
            method: with a tuner and with new components.
            ctx: with a scratch folder that lasts as long as the backbone.
            images: what the tuner sees.

        Raises:
            AdbenchError: its network cannot be tuned.
        """
        tuning = self._tuning(builder, method, ctx, images)
        assert tuning is not None
        with naming_component(method.backbone, "prepare"):
            method.backbone.prepare(replace(ctx, seed=0))
        tuned = tuning.apply(method.backbone, self._tuned, self._notes.once)
        return self._described(builder, method, method.backbone, ctx, tuning, tuned)

    def close(self) -> None:
        """Let go of the backbone, and of the folder that it may keep files in."""
        if self._loaded is not None:
            self._loaded[2].close()
        self._loaded = None

    def _prepare(self, backbone: Backbone, ctx: Context, key: str, scratch: Scratch) -> None:
        try:
            with naming_component(backbone, "prepare"):
                backbone.prepare(replace(ctx, seed=0, workdir=scratch.path))  # the same features for all seeds
        except WeightsError as error:
            self._refused[key] = error
            raise

    def _tuning(self, builder: RecordBuilder, method: Method, ctx: Context, images: TuningImages) -> Tuning | None:
        """The tuning that a method asks for; None without a tuner."""
        if method.tuner is None:
            return None
        unit = builder.unit
        about = {
            "tuner": self.part(method.tuner),
            "backbone": self.part(method.backbone),
            "told": _context_of(method.backbone, ctx),
            "dataset": self.part(unit.dataset),
            "preprocess": [self.part(step) for step in method.preprocess],
            "device": device_name(ctx.device),
        }
        loader, sources = images
        return Tuning(method.tuner, about, loader, sources, ctx)

    def _described(
        self,
        builder: RecordBuilder,
        method: Method,
        backbone: Backbone,
        ctx: Context,
        tuning: Tuning | None,
        tuned: TunedNetwork | None,
    ) -> LoadedBackbone:
        """A prepared backbone, with what decides its features."""
        with naming_component(backbone, "weights"):
            weights = backbone.weights()
        about = self._about(builder, method, backbone, weights, ctx)
        if tuning is not None:
            about = {**about, "tuned": tuning.key}
        return LoadedBackbone(backbone, weights, about, tuned)

    def report_notes(self, backbone: Backbone) -> None:
        """Report the notes of the backbone, each once."""
        self._notes.each_once(backbone.notes)

    def _about(
        self, builder: RecordBuilder, method: Method, backbone: Backbone, weights: Sequence[Weights], ctx: Context
    ) -> Mapping[str, Any]:
        return {
            "dataset": self.part(builder.unit.dataset),
            "preprocess": [self.part(step) for step in method.preprocess],
            "backbone": self.part(backbone),
            "told": _context_of(backbone, ctx),
            "weights": [{"name": item.name, "sha256": item.sha256} for item in weights],
            "runtime": self._settings.runtime,
            "device": device_name(ctx.device),
            "features": builder.unit.recipe.features,
        }

    def part(self, part: Component) -> dict[str, Any]:
        """What decides the work of a component: its name, version, package and options."""
        dist = self._registry.get(part.kind, part.name)
        return {"name": part.name, "version": part.version, "dist": dist.dist_version, "options": part.identity()}


def _context_of(backbone: Backbone, ctx: Context) -> list[Any]:
    """The part of its context that a backbone may depend on."""
    name = ctx.class_name if "class_name" in backbone.needs else None
    return [ctx.device, name]
