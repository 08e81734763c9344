"""What a command imports: a library that takes seconds is imported where it is used, and nowhere before."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from adbench.cli import call

HEAVY = (
    "timm",
    "torchvision",
    "torch._dynamo",
    "torch.onnx",
    "huggingface_hub",
    "matplotlib",
    "scipy.stats",
    "scipy.signal",
    "skimage.morphology",
    "adbench_dino",
    "adbench_data",
)
"""Builders of networks, statistics that drawing does not need, and plugins that the detector has no part of."""


@pytest.mark.slow
def test_predict_imports_nothing_that_builds_networks(parts, tmp_path):
    """The network comes as it was exported by the fit; timm alone takes as long to import as all the rest."""
    detector, cache = str(tmp_path / "bolt.adbench"), ["--cache", str(tmp_path / "cache"), "--device", "cpu"]
    good = str(parts / "bolt" / "train" / "good")
    method = ["--recipe", "patchcore-lite", "--runtime", "openvino", "--threshold", "conformal:alpha=0.3"]
    assert call(["fit", *method, "--normal", good, "--out", detector, *cache]) == 0
    image = str(parts / "bolt" / "test" / "spot" / "000.png")
    ask = ["predict", detector, image, "--out", str(tmp_path / "out"), "--runtime", "openvino", *cache]
    code = f"import sys; from adbench.cli import call; code = call({[*ask, '--tables-only']!r}) or "
    code += f"'scipy' in sys.modules or call({ask!r}); print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(code)"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "out" / "heatmaps").is_dir()
    assert json.loads((tmp_path / "out" / "coco.json").read_text())["annotations"]
