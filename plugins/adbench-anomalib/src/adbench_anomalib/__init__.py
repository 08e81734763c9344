"""anomalib's trained models as a bank, and the scorer by their own maps and image scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_anomalib.bank import Anomalib
    from adbench_anomalib.scorer import AnomalibScores

    register(Anomalib)
    register(AnomalibScores)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
