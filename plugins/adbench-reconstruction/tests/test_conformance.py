"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
from adbench_reconstruction.autoencoder import Autoencoder
from adbench_reconstruction.pixels import Pixels
from adbench_reconstruction.residual import Residual
from adbench_reconstruction.ssim_residual import SsimResidual

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

BRIEF = {"steps": 40, "rate": 0.002, "batch": 8, "latent": 8}

COMPONENTS = [
    Pixels(),
    Pixels(cell=8),
    Autoencoder(**BRIEF),
    Autoencoder(**BRIEF, loss="ssim", variational=True),
    Autoencoder(**BRIEF, skip=True, corrupt="stain"),
    Autoencoder(form="place", steps=40, rate=0.002, batch=1),
    Autoencoder(form="place", steps=40, rate=0.002, batch=1, variational=True, corrupt="noise", sample=300),
]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()


SCORERS = [
    Residual(),
    Residual(distance="l2", image_fraction=0.01, image_sigma=4, image_kernel=3, image_border="reflect"),
    Residual(distance="cosine", image_fraction=0.05),
    SsimResidual(window=3),
]


@parametrize_with_checks(SCORERS)
def test_scorers_conform(check, monkeypatch):
    """With a bank that learns at once, and in windows that a defect of two patches stands out in."""
    for scorer in (Residual, SsimResidual):
        monkeypatch.setattr(scorer, "defaults", classmethod(lambda cls, config: {"bank": "toy-reconstruction"}))
    check()
