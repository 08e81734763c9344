"""The public rules, for every component of the package, on a model that is small enough."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
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

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
FILE = Path(tempfile.mkdtemp(prefix="adbench-clip-")) / "tiny.json"  # checks are collected before any fixture is there
FILE.write_text(json.dumps(TINY))
MODEL = {"architecture": FILE, "weights": "random"}


class TinyTipAdapter(TipAdapter):
    """The scorer on text of the small model; the usual one needs weights that are not here."""

    @classmethod
    def defaults(cls, config):
        return {
            **super().defaults(config),
            "bank": {"exemplars-prompts": {"architecture": str(FILE), "weights": "random"}},
        }


COMPONENTS = [
    Clip(**MODEL),
    Clip(**MODEL, windows=(), patches="text", last_block="value", blocks=(0,), text_blocks=(0, 1), resolution=48),
    Prompts(**MODEL),
    Prompts(**MODEL, prompts="april-gan", mean_of="unit", word="bottle"),
    PromptsFew(**MODEL),
    LearnedPrompts(**MODEL, told=False, context=2, steps=3),
    PromptContrast(),
    WinClip(),
    AprilGan(),
    LabelledExemplars(),
    ExemplarsPrompts(**MODEL),
    MaxExemplarScorer(),
    ClassMean(),
    LogisticProbe(),
    TinyTipAdapter(),
]

MEAN_PATCH = (
    "the image score compares the image's own vector with the prompts, and that of the toys is the mean of 54 patches "
    "of which two are defective; that the map finds them is tested with each scorer"
)
WHOLE = "it keeps vectors of whole images, with which the toy scorer compares patches"
SCORERS = ("prompt-contrast", "winclip", "april-gan", "max-exemplar", "class-mean", "logistic-probe", "tip-adapter")
EXPECTED = {
    **{f"scorer-{scorer}-planted-defect-is-found": MEAN_PATCH for scorer in SCORERS},
    **{f"bank-{bank}-planted-defect-is-told-apart": WHOLE for bank in ("exemplars", "exemplars-prompts")},
    "scorer-tip-adapter-import-is-light": "its class is made in this file, which imports torch",
}


@parametrize_with_checks(COMPONENTS, expected_failures=EXPECTED)
def test_conforms(check):
    check()
