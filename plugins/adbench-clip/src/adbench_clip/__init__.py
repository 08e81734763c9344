"""CLIP as a backbone, its text as a bank, and the scores of WinCLIP and APRIL-GAN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_clip.april_gan import AprilGan
    from adbench_clip.clip import Clip
    from adbench_clip.prompt_contrast import PromptContrast
    from adbench_clip.prompts import Prompts
    from adbench_clip.prompts_few import PromptsFew
    from adbench_clip.winclip import WinClip

    for component in (Clip, Prompts, PromptsFew, PromptContrast, WinClip, AprilGan):
        register(component)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
