"""The file keeps what every kind of bank has learned."""

import numpy as np
import pytest

from adbench.detector.detector import Detector
from adbench.registration.registry import installed

METHODS = [
    ("toy-vectors", "toy-nearest"),
    ("toy-aligned", "toy-aligned-nearest"),
    ("toy-gaussian", "toy-mahalanobis"),
    ("toy-energy", "toy-energy"),
    ("toy-reconstruction", "toy-residual"),
    ("full", "knn"),
    ("coreset", "knn"),
    ("coreset:fraction=0.5", "knn:k=3,reweight=4"),
    ("aligned", "aligned-knn"),
    ("padim:dim=3", "mahalanobis"),
    ("prototypes", "mahalanobis"),
    ("whitened", "mahalanobis"),
    ("subspace", "residual"),
    ("autoencoder:steps=5", "residual"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("bank", "scorer"), METHODS, ids=[f"{bank} {scorer}" for bank, scorer in METHODS])
def test_a_detector_says_the_same_out_of_its_file(bank, scorer, noise, spotted, quick, tmp_path):
    known = {(entry.kind, entry.name) for entry in installed().entries()}
    if {("bank", bank.partition(":")[0]), ("scorer", scorer.partition(":")[0])} - known:
        pytest.skip("its plugin is not installed")
    parts = {"backbone": "toy-pixels", "bank": bank, "scorer": scorer}
    detector = Detector(**parts, **quick).fit(noise(8), threshold="quantile:alpha=0.05")
    loaded = Detector.load(detector.save(tmp_path / "one.adbench"), **quick)
    for image in (*noise(2, seed=4), spotted):
        before, after = detector.predict(image), loaded.predict(image)
        assert after.score == before.score
        assert np.array_equal(after.map, before.map)
        assert (after.p_value, after.threshold) == (before.p_value, before.threshold)
    assert loaded.state.calibration.pixel_threshold == detector.state.calibration.pixel_threshold
