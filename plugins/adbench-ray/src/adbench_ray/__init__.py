"""An executor that gives jobs to a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Register the executor."""
    from adbench_ray.executor import Ray

    register(Ray)
