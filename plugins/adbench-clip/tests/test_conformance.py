"""The public rules, for every component of the package, on a model that is small enough."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from adbench_clip.april_gan import AprilGan
from adbench_clip.clip import Clip
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

COMPONENTS = [
    Clip(**MODEL),
    Clip(**MODEL, windows=(), patches="text", last_block="value", blocks=(0,), text_blocks=(0, 1), resolution=48),
    Prompts(**MODEL),
    Prompts(**MODEL, prompts="april-gan", mean_of="unit", word="bottle"),
    PromptsFew(**MODEL),
    PromptContrast(),
    WinClip(),
    AprilGan(),
]

MEAN_PATCH = (
    "the image score compares the image's own vector with the prompts, and that of the toys is the mean of 54 patches "
    "of which two are defective; that the map finds them is tested with each scorer"
)
EXPECTED = {
    f"scorer-{scorer}-planted-defect-is-found": MEAN_PATCH for scorer in ("prompt-contrast", "winclip", "april-gan")
}


@parametrize_with_checks(COMPONENTS, expected_failures=EXPECTED)
def test_conforms(check):
    check()
