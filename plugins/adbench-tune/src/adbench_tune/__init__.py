"""Tuners that adapt a backbone's network to normal images: CutPaste, DINO and iBOT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_tune.cutpaste import CutPaste
    from adbench_tune.dino import Dino
    from adbench_tune.ibot import Ibot

    for component in (CutPaste, Dino, Ibot):
        register(component)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
