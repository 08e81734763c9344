"""Normalizing flows and flow matching on features, and the scorer by the energy of any bank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_flow.cflow import CFlow
    from adbench_flow.energy import Energy
    from adbench_flow.fastflow import FastFlow
    from adbench_flow.flow_matching import FlowMatching

    register(FastFlow)
    register(CFlow)
    register(FlowMatching)
    register(Energy)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
