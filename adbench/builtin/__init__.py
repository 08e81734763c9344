"""The plugin that comes with adbench: datasets, preparation, metrics, reports, and a toy of every kind."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from adbench import Component, hookimpl

_MODULES = (
    "demo",
    "executors",
    "folders.datasets",
    "metrics_class",
    "metrics_image",
    "metrics_pixel",
    "processes",
    "reports",
    "stages.aggregators",
    "stages.align",
    "stages.augmenters",
    "stages.maskers",
    "stages.necks",
    "stages.preprocessors",
    "stages.tiles",
    "toy",
    "toy_labelled",
)


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Register every public component class of the modules above."""
    for name in _MODULES:
        module = import_module(f"adbench.builtin.{name}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Component)
                and value.__module__ == module.__name__
                and "name" in vars(value)
            ):
                register(value)
