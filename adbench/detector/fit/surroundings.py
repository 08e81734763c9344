"""What a method's components are given while they are at work: a context, and folders that last as long as they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adbench.api.backbone import Weights
from adbench.api.context import Context
from adbench.engine.features.contract import naming_component
from adbench.engine.plan.settings import Settings
from adbench.engine.process.scratch import Scratch
from adbench.engine.run.method import Method


class Surroundings:
    """The context of one method, and scratch folders that are gone with it.

    Args:
        settings: device, runtime and cache.
        seed: decides everything random.
        class_name: the object's name, for methods that read it.

    Attributes:
        weights: of backbone and masker, once these are prepared.
    """

    def __init__(self, settings: Settings, seed: int, class_name: str | None) -> None:
        self._scratch = Scratch()
        self.weights: tuple[Weights, ...] = ()
        self.ctx = Context(
            seed=seed,
            device=settings.device,
            workdir=self.folder("work"),
            class_name=class_name,
            runtime=settings.runtime,
            cache=settings.cache,
        )

    def folder(self, name: str) -> Path:
        """A folder of the method's own."""
        return self._scratch.folder(name)

    def prepare(self, method: Method) -> None:
        """Prepare every part, the backbone as runs do: without the seed, so that it sees the same for all of them.

        Raises:
            WeightsError: weights cannot be had.
        """
        with naming_component(method.backbone, "prepare"):
            method.backbone.prepare(replace(self.ctx, seed=0, workdir=self.folder("backbone")))
        method.prepare(self.ctx)
        with naming_component(method.backbone, "weights"):
            self.weights = (*method.backbone.weights(), *method.later_weights())
