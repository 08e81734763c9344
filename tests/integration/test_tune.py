"""Tuned backbones through the command line and in detectors' files."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from safetensors.torch import load, save

from adbench import Field
from adbench.engine.store.predictions import read_predictions
from adbench.testing import checks_for
from adbench.testing.toy_network import ToyTunable
from adbench.training import Tuned, Tuner

PARTS = ("--backbone", "toy-tunable", "--scorer", "toy-nearest", "--tune", "shift:by=0.3")


class Shift(Tuner):
    """Shifts every weight of the first layer, by random numbers."""

    name = "shift"

    class Config(Tuner.Config):
        by: float = Field(0.3, description="the size of the shift")

    def tune(self, trainable, images, ctx):
        first = next(trainable.network.parameters())
        first += self.config.by * torch.randn(first.shape, generator=ctx.generator("shift"))
        return Tuned([1.0], {"images": float(len(images))})


@pytest.fixture
def tuned(bench):
    bench.register(ToyTunable, Shift)
    return bench


LIGHT = "import-is-light"  # a test may import torch


@pytest.mark.parametrize("check", [one for one in checks_for(Shift()) if one.name != LIGHT], ids=str)
def test_the_toy_keeps_the_rules_of_tuners(check):
    check()


@pytest.mark.slow
def test_a_detector_carries_the_tuned_weights_and_gives_the_scores_of_the_run(tuned):
    done = tuned.run(*PARTS, "--category", "dots", "--save")
    assert done.code == 0, done.err
    (record,) = done.records
    assert record.facts["tune_images"] == 20
    (file,) = done.folder.rglob("detector.adbench")
    images, out = tuned.data / "dots" / "test", tuned.folder / "found"
    found = tuned.adbench("predict", file, images, "--out", out, "--tables-only", "--cache", "none")  # no other weights
    assert found.code == 0, found.err
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    scores = {row["file"].removesuffix(".png"): row["score"] for row in rows}
    kept = read_predictions(file.parent, record.predictions)
    wanted = {name.removeprefix("dots/test/"): float(score) for name, score in zip(kept.ids, kept.scores, strict=True)}
    assert scores == pytest.approx(wanted, rel=1e-6)


@pytest.mark.slow
def test_a_detector_whose_tuned_weights_were_changed_is_refused(tuned):
    done = tuned.run(*PARTS, "--category", "dots", "--save")
    (file,) = done.folder.rglob("detector.adbench")
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    state = load(entries["backbone.safetensors"])
    state["patch_embed.weight"] += 1
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (entries | {"backbone.safetensors": save(state)}).items():
            archive.writestr(name, content)
    found = tuned.adbench("predict", file, tuned.data / "dots" / "test", "--out", "found", "--tables-only")
    assert found.code != 0
    assert "its backbone.safetensors is not what it names" in found.err


def test_a_backbone_that_is_no_torch_network_ends_in_one_sentence(tuned):
    done = tuned.run("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--tune", "shift", "--category", "dots")
    assert done.code == 2
    assert "tuner 'shift' trains a torch network; backbone 'toy-pixels' is none" in done.err + done.out
