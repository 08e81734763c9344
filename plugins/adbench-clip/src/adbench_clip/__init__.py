"""CLIP as a backbone, its text as a bank, and the scores of WinCLIP and APRIL-GAN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_clip.april_gan import AprilGan
    from adbench_clip.clip import Clip
    from adbench_clip.few_shot.class_mean import ClassMean
    from adbench_clip.few_shot.exemplars import LabelledExemplars
    from adbench_clip.few_shot.exemplars_prompts import ExemplarsPrompts
    from adbench_clip.few_shot.logistic_probe import LogisticProbe
    from adbench_clip.few_shot.max_exemplar import MaxExemplarScorer
    from adbench_clip.few_shot.tip_adapter import TipAdapter
    from adbench_clip.learned_prompts import LearnedPrompts
    from adbench_clip.prompt_contrast import PromptContrast
    from adbench_clip.prompts import Prompts
    from adbench_clip.prompts_few import PromptsFew
    from adbench_clip.winclip import WinClip

    banks = Prompts, PromptsFew, LearnedPrompts, LabelledExemplars, ExemplarsPrompts
    scorers = PromptContrast, WinClip, AprilGan, MaxExemplarScorer, ClassMean, LogisticProbe, TipAdapter
    for component in (Clip, *banks, *scorers):
        register(component)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
