"""The file keeps what every kind of bank has learned."""

import json
import zipfile

import numpy as np
import pytest

from adbench.detector.detector import Detector
from adbench.detector.store.description import MANIFEST
from adbench.errors import UsageError
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


@pytest.mark.parametrize(
    ("dist", "version", "way"),
    [
        ("adbench-eagle", "1.2.0", "pip install adbench-eagle==1.2.0"),
        ("numpy", np.__version__, f"numpy {np.__version__} is here and has no such part, so ask whoever made the file"),
        ("a; rm -rf /", "1", "the file names no package that has it, so ask whoever made the file"),
        ("adbench", "1 --index-url http://x", "the file names no package that has it, so ask whoever made the file"),
    ],
)
def test_a_part_that_is_not_here_says_where_it_is_from(dist, version, way, saved, quick, tmp_path):
    def stranger(part):
        return {**part, "name": "eagle", "dist": dist, "dist_version": version} if part["kind"] == "bank" else part

    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(tmp_path / "other.adbench", "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == MANIFEST:
                told = json.loads(content)
                content = json.dumps({**told, "parts": [stranger(part) for part in told["parts"]]}).encode()
            after.writestr(name, content)
    with pytest.raises(UsageError) as refused:
        Detector.load(tmp_path / "other.adbench", **quick)
    assert str(refused.value).endswith(f"it needs bank 'eagle', which is not installed; {way}")
