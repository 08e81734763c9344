"""The loaded backbone and what is known of its way of looking: what decides the features of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adbench.api.backbone import Backbone, Weights
from adbench.api.component import Component
from adbench.api.context import Context
from adbench.engine.features.contract import blame
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.plan.settings import Settings
from adbench.engine.process.scratch import Scratch
from adbench.engine.run.method import Method
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.store.provenance import device_name
from adbench.engine.store.record import canonical_json
from adbench.errors import WeightsError
from adbench.registry import Registry


@dataclass(frozen=True)
class LoadedBackbone:
    """A prepared backbone.

    Attributes:
        backbone: ready to extract.
        weights: what it runs on.
        about: JSON that decides the features of an image of given content.
    """

    backbone: Backbone
    weights: Sequence[Weights]
    about: Mapping[str, Any]


class BackbonePool:
    """Keeps the last backbone loaded, and remembers which ones cannot be.

    Attributes:
        cache: where features are kept, or None.
    """

    def __init__(self, registry: Registry, settings: Settings, note: Callable[[str], None]) -> None:
        self._registry, self._settings, self._note = registry, settings, note
        folder = settings.cache
        self.cache = None if folder is None else FeatureCache(folder / "features", settings.cache_limit, note)
        self._loaded: tuple[str, Backbone, Scratch] | None = None
        self._refused: dict[str, WeightsError] = {}
        self._told_notes: set[str] = set()

    def of(self, draft: RecordBuilder, method: Method, ctx: Context) -> LoadedBackbone:
        """The backbone of a method, prepared; the one that is loaded already, if it is the same and was told the same.

        Raises:
            WeightsError: its weights cannot be had; asked again, this is said at once.
        """
        key = canonical_json([self.part(method.backbone), self._told(method.backbone, ctx)])
        if key in self._refused:
            raise self._refused[key]
        if self._loaded is None or self._loaded[0] != key:
            self.close()
            scratch = Scratch()
            self._loaded = key, self._prepared(method.backbone, ctx, key, scratch), scratch
        backbone = self._loaded[1]
        with blame(backbone, "weights"):
            weights = backbone.weights()
        return LoadedBackbone(backbone, weights, self._about(draft, method, backbone, weights, ctx))

    def close(self) -> None:
        """Let go of the backbone, and of the folder that it may keep files in."""
        if self._loaded is not None:
            self._loaded[2].close()
        self._loaded = None

    def _prepared(self, backbone: Backbone, ctx: Context, key: str, scratch: Scratch) -> Backbone:
        try:
            with blame(backbone, "prepare"):
                backbone.prepare(replace(ctx, seed=0, workdir=scratch.path))  # one way of looking for all seeds
        except WeightsError as error:
            self._refused[key] = error
            raise
        return backbone

    def tell(self, backbone: Backbone) -> None:
        """Pass on what the backbone has to say by now, each sentence once."""
        for sentence in backbone.notes:
            if sentence not in self._told_notes:
                self._told_notes.add(sentence)
                self._note(sentence)

    def _about(
        self, draft: RecordBuilder, method: Method, backbone: Backbone, weights: Sequence[Weights], ctx: Context
    ) -> Mapping[str, Any]:
        return {
            "dataset": self.part(draft.unit.dataset),
            "preprocess": [self.part(step) for step in method.preprocess],
            "backbone": self.part(backbone),
            "told": self._told(backbone, ctx),
            "weights": [{"name": item.name, "sha256": item.sha256} for item in weights],
            "runtime": self._settings.runtime,
            "device": device_name(ctx.device),
            "features": draft.unit.recipe.features,
        }

    def part(self, part: Component) -> dict[str, Any]:
        """What decides a part's work, as a shelf's description has it."""
        dist = self._registry.get(part.kind, part.name)
        return {"name": part.name, "version": part.version, "dist": dist.dist_version, "options": part.identity()}

    def _told(self, backbone: Backbone, ctx: Context) -> list[Any]:
        """What a backbone hears of its surroundings."""
        name = ctx.class_name if "class_name" in backbone.needs else None
        return [ctx.device, name]
