"""Exported files give the scores and maps of their detectors, and refuse to be written where they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adbench.detector.detector import Detector
from adbench.detector.export import exporting, proof
from adbench.detector.export.formats import opened
from adbench.detector.export.graph import Frame
from adbench.detector.export.synthetic import synthetic_images
from adbench.errors import StorageError, UnknownName, UsageError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("adbench_memory")
pytest.importorskip("adbench_gaussian")
pytest.importorskip("adbench_reconstruction")
pytest.importorskip("adbench_flow")

EXAMPLE = Path(__file__).parents[4] / "examples" / "onnx_numpy.py"
SMALL = {"backbone": "pixels:cell=4", "preprocess": "resize:size=32"}
CROPPED = ["resize:size=48", "center-crop:size=32", "pad:size=40"]
"""The prepared image shows a part of the original and a border around it."""

TILED = ["resize:size=48", "tile:size=32,overlap=8,multiple=4"]
"""Four tiles, of which two show the reflection of the image's edge."""

METHODS: dict[str, dict[str, Any]] = {
    "knn": {"scorer": "knn:k=3", "bank": "full"},
    "knn, cosine": {"scorer": "knn:k=1,metric=cosine", "bank": "full"},
    "knn, squared": {"scorer": "knn:k=1,squared=true", "bank": "full", "aggregate": "mean"},
    "knn, weighed": {"scorer": "knn:k=1,reweight=5", "bank": "coreset:fraction=0.3"},
    "knn, weighed as anomalib": {"scorer": "knn:k=1,reweight=5,reweight_form=anomalib", "bank": "coreset:count=40"},
    "knn, cropped": {"scorer": "knn:k=1", "bank": "full", "preprocess": CROPPED, "aggregate": "map-top-fraction"},
    "knn, neighbourhoods": {"scorer": "knn:k=1", "bank": "full", "neck": ["patchify:size=3,form=unfold,dim=5", "l2"]},
    "knn, fractions": {"scorer": "knn:k=1", "bank": "full", "preprocess": "resize:size=64,precision=float"},
    "knn, bicubic": {"scorer": "knn:k=1", "bank": "full", "preprocess": "resize:size=16,interpolation=bicubic"},
    "knn, tiles": {"scorer": "knn:k=1,reweight=3", "bank": "full", "preprocess": TILED},
    "knn, one tile": {"scorer": "knn:k=1", "bank": "full", "preprocess": ["tile:size=64,overlap=16,multiple=4"]},
    "galleries of images": {"scorer": "gallery-knn:images=3,k=2", "bank": "gallery", "neck": "image-statistics"},
    "places": {"scorer": "aligned-knn:radius=1", "bank": "aligned", "neck": "patchify:size=3,form=unfold"},
    "places alone": {"scorer": "aligned-knn:radius=0", "bank": "aligned", "neck": "patchify:size=3,form=unfold"},
    "places of similar images": {
        "scorer": "aligned-knn:radius=1,images=3",
        "bank": "aligned",
        "neck": "image-statistics",
    },
    "two scales": {"scorer": "two-scale-knn:k=1", "bank": "two-scale:count=30", "neck": "image-statistics"},
    "two scales and places": {
        "scorer": "two-scale-knn:fraction=0,place_weight=0.33",
        "bank": "two-scale:count=30,places=5",
        "neck": "image-statistics",
    },
    "whole images": {"scorer": "image-knn:k=2", "bank": "image-vectors", "neck": "image-statistics"},
    "Gaussian of each place": {"scorer": "mahalanobis:image_sigma=2", "bank": "padim"},
    "Gaussian of each kind": {"scorer": "mahalanobis", "bank": "prototypes:count=3,covariance=cluster"},
    "whitened, weighed": {"scorer": "mahalanobis:squared=true,reweight=3", "bank": "whitened:count=20"},
    "subspace": {"scorer": "residual:image_fraction=0.05,image_sigma=1", "bank": "subspace:variance=0.9"},
    "subspaces of groups and of images": {
        "scorer": "residual:distance=l2,image_fraction=0.05,image_weight=0.5",
        "bank": "subspace:groups=4,components=2,image_variance=0.9",
        "neck": "image-statistics",
    },
    "autoencoder of places": {"scorer": "residual", "bank": "autoencoder:form=place,steps=3,batch=2,latent=2"},
    "without the border": {"scorer": "knn:k=1", "bank": "full", "masker": "border"},
    "bright or dark pixels": {"scorer": "knn:k=1", "bank": "full", "masker": "otsu", "aggregate": "mean"},
    "first component": {
        "scorer": "knn:k=1",
        "bank": "full",
        "masker": "pca-foreground:threshold=0.1,bank=drop",
        "aggregate": "mean",
    },
    "no object": {"scorer": "knn:k=1", "bank": "full", "masker": "pca-foreground:threshold=100"},
    "flows of vectors": {"scorer": "energy", "bank": "cflow:reads=patches,steps=2,batch=2,blocks=2,condition=8"},
    "flows of maps": {"scorer": "energy", "bank": "fastflow:reads=patches,steps=2,batch=2,blocks=2"},
    "velocities": {"scorer": "energy", "bank": "flow-matching:steps=2,batch=2,width=16,condition=8,draws=2"},
    "autoencoder of images": {"scorer": "ssim-residual:window=5", "bank": "autoencoder:steps=2,batch=2,latent=4"},
}


@pytest.fixture
def photographs() -> list[np.ndarray]:
    """Normal images, higher than wide."""
    return _photographs(seed=0)


@pytest.fixture
def strangers() -> list[np.ndarray]:
    """More of them, from which nothing was learned."""
    return _photographs(seed=1)


def _photographs(seed: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(seed)
    ramps = np.linspace((40, 90, 200), (200, 60, 30), 60)[:, None]
    return [np.clip(ramps + drawn.normal(0, 40, (60, 48, 3)), 0, 255).astype(np.uint8) for _ in range(6)]


@pytest.fixture
def fitted(quick: dict[str, Any], photographs: list[np.ndarray]) -> Callable[..., Detector]:
    """Makes a detector of small parts that has learned from the photographs."""
    return lambda **parts: Detector(**{**SMALL, **quick, **parts}).fit(photographs)


@pytest.mark.slow
@pytest.mark.parametrize("parts", METHODS.values(), ids=METHODS)
def test_scores_and_maps_are_the_detectors(
    parts: dict[str, Any],
    fitted: Callable[..., Detector],
    photographs: list[np.ndarray],
    strangers: list[np.ndarray],
    tmp_path: Path,
) -> None:
    detector = fitted(**parts)
    done = detector.export(tmp_path / "it.onnx", images=[photographs[0], strangers[0]])
    score, new = opened("onnx", done.path), strangers[1]
    found, prediction = score(new[None]), detector.predict(new)
    assert found[0][0] == pytest.approx(prediction.score, rel=1e-4)
    assert (
        len(found) == 1
        if prediction.map is None
        else np.allclose(found[1][0], prediction.map, atol=1e-4 * abs(prediction.map).max())
    )
    assert (done.report.images, done.report.left_out) == (1, 1)  # it knows one of the two
    assert done.report.largest_score_difference <= 1e-4


IGNORING: dict[str, dict[str, Any]] = {
    "nearest patches": {"scorer": "knn:k=1", "bank": "full"},
    "nearest patches, weighed": {"scorer": "knn:k=1,reweight=5", "bank": "coreset:count=40"},
    "mean of the highest of the map": {
        "scorer": "knn:k=1",
        "bank": "full",
        "preprocess": CROPPED,
        "aggregate": "map-top-fraction:fraction=0.2",
    },
    "tiles": {"scorer": "knn:k=1", "bank": "full", "preprocess": TILED},
    "mean of the patches": {"scorer": "residual", "bank": "subspace:variance=0.9", "aggregate": "mean"},
    "two scales and places": {
        "scorer": "two-scale-knn:fraction=0,place_weight=0.33",
        "bank": "two-scale:count=30,places=5",
        "neck": "image-statistics",
    },
    "whole images": {"scorer": "image-knn:k=2", "bank": "image-vectors", "neck": "image-statistics"},
    "outside the object": {"scorer": "knn:k=1", "bank": "full", "masker": "otsu", "aggregate": "mean"},
}


@pytest.fixture
def corner() -> np.ndarray:
    """Ignored pixels: a corner, and a bar through the middle."""
    ignored = np.zeros((60, 48), bool)
    ignored[:22, :30] = ignored[30:36] = True
    return ignored


@pytest.mark.slow
@pytest.mark.parametrize("parts", IGNORING.values(), ids=IGNORING)
def test_ignored_pixels_are_ignored_by_the_file(
    parts: dict[str, Any],
    quick: dict[str, Any],
    corner: np.ndarray,
    photographs: list[np.ndarray],
    strangers: list[np.ndarray],
    tmp_path: Path,
) -> None:
    detector = Detector(**{**SMALL, **quick, **parts}).fit(photographs, ignore=corner)
    done = detector.export(tmp_path / "it.onnx", images=[strangers[0]])
    score, new = opened("onnx", done.path), strangers[1]
    found, prediction = score(new[None]), detector.predict(new)
    assert found[0][0] == pytest.approx(prediction.score, rel=1e-4)
    if prediction.map is not None:
        assert np.allclose(found[1][0], prediction.map, atol=1e-4 * abs(prediction.map).max())
    stamped = new.copy()
    stamped[corner] = 255 - stamped[corner]
    assert all(np.array_equal(one, other) for one, other in zip(score(stamped[None]), found, strict=True))
    assert done.report.largest_score_difference <= 1e-4


def test_an_ignore_mask_decides_the_size(
    quick: dict[str, Any], corner: np.ndarray, photographs: list[np.ndarray], tmp_path: Path
) -> None:
    detector = Detector(**{**SMALL, **quick, **METHODS["knn"]}).fit(photographs, ignore=corner)
    with pytest.raises(UsageError, match="mask is for images of 60x48 pixels, .* 64x48; export it with --size 60x48"):
        detector.export(tmp_path / "it.onnx", size=(64, 48))


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), [("openvino", "it.xml"), ("torch", "it.pt2")])
def test_other_formats(
    form: Any, name: str, fitted: Callable[..., Detector], photographs: list[np.ndarray], tmp_path: Path
) -> None:
    if form == "openvino":
        pytest.importorskip("openvino")
    detector = fitted(**METHODS["knn, weighed"])
    done = detector.export(tmp_path / name, format=form)
    assert opened(form, done.path)(photographs[1][None])[0][0] == pytest.approx(
        detector.predict(photographs[1]).score, rel=1e-4
    )
    assert done.report.runtime == form


@pytest.mark.slow
def test_onnxruntime_and_numpy_are_enough(
    fitted: Callable[..., Detector], photographs: list[np.ndarray], tmp_path: Path
) -> None:
    detector = fitted(**METHODS["knn, weighed"])
    detector.export(tmp_path / "it.onnx", batch=4)
    np.save(tmp_path / "images.npy", np.stack(photographs))
    forbids = "import sys; sys.modules.update(dict.fromkeys(['torch', 'adbench', 'onnx', 'PIL'])); import runpy; "
    code = f"{forbids}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, EXAMPLE, tmp_path / "it.onnx", tmp_path / "images.npy"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line, message in zip(lines, detector.predict(photographs), strict=True):
        _, score, p_value, verdict, row, column = line.split(",")
        assert float(score.strip("np.float32()")) == pytest.approx(message.score, rel=1e-4)
        assert float(p_value) == pytest.approx(message.p_value, rel=1e-3)
        assert verdict == ("unknown" if message.is_anomalous is None else message.verdict)
        assert message.map is not None
        assert message.map[int(row), int(column)] == pytest.approx(message.map.max(), rel=1e-4)


def test_the_file_says_what_it_is(fitted: Callable[..., Detector], tmp_path: Path) -> None:
    import onnxruntime

    detector = fitted(**METHODS["knn"])
    done = detector.export(tmp_path / "it.onnx")
    facts = onnxruntime.InferenceSession(done.path).get_modelmeta().custom_metadata_map
    assert json.loads(facts["report"]) == done.report.model_dump()
    assert facts["detector"] == detector.about.id
    assert facts["input"] == "image [1, 60, 48, 3], RGB, uint8"


def test_differences_refuse_the_file(
    fitted: Callable[..., Detector], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = fitted(**METHODS["knn"])
    honest = exporting.opened
    monkeypatch.setattr(exporting, "opened", lambda *form: lambda image: [1.001 * one for one in honest(*form)(image)])
    with pytest.raises(UsageError, match="not written, because its scores are not the detector's"):
        detector.export(tmp_path / "it.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_its_runtime_cannot_open_is_not_written(
    fitted: Callable[..., Detector], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Op (Split) is not valid")

    detector = fitted(**METHODS["knn"])
    monkeypatch.setattr(exporting, "opened", broken)
    with pytest.raises(UsageError, match=r"cannot open it \(Op \(Split\) is not valid\)"):
        detector.export(tmp_path / "it.onnx")
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_none_is_no_proof() -> None:
    with pytest.raises(UsageError, match="not written"):
        proof.require_equal([proof.Comparison("it", 1.0, 0.0, float("nan"))], "onnx")


def test_what_cannot_be_exported_says_why(
    toy_detector: Detector, fitted: Callable[..., Detector], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="backbone 'toy-pixels' cannot be exported"):
        toy_detector.export(tmp_path / "it.onnx")
    with pytest.raises(UsageError, match="masker 'border' with test=drop cannot be exported: how many patches"):
        fitted(**METHODS["knn"], masker="border:test=drop").export(tmp_path / "it.onnx")
    with pytest.raises(UsageError, match="preprocessor 'align' cannot be exported: it follows edges"):
        fitted(**METHODS["knn"] | {"preprocess": ["align", "resize:size=32"]}).export(tmp_path / "it.onnx")


@pytest.mark.slow
def test_mistakes_are_sentences(fitted: Callable[..., Detector], photographs: list[np.ndarray], tmp_path: Path) -> None:
    detector = fitted(**METHODS["knn"])
    with pytest.raises(UnknownName, match="openvino"):
        detector.export(tmp_path / "it.onnx", format="tflite")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        detector.export(tmp_path / "it.pt2")
    with pytest.raises(StorageError, match="cannot be written"):
        detector.export(tmp_path / "nowhere" / "it.onnx")
    detector.fit([*photographs, photographs[0][:48]])
    with pytest.raises(UsageError, match="name one with --size"):
        detector.export(tmp_path / "it.onnx")
    done = detector.export(
        tmp_path / "it.onnx", size=(60, 48), images=[photographs[1][::-1].copy(), photographs[1][:48]]
    )
    assert (done.report.images, done.report.left_out) == (1, 1)


def test_synthetic_images_have_the_type_of_the_frame() -> None:
    assert {image.dtype for image in synthetic_images(Frame(9, 7)).values()} == {np.dtype(np.uint8)}
    for image in synthetic_images(Frame(9, 7, deep=True)).values():
        assert image.shape == (9, 7, 3)
        assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("place", ["missing/toy.onnx", "file/toy.onnx", "folder.onnx"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(place, toy_detector, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "recorded", lambda *_: pytest.fail("the work began"))
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(StorageError, match=r"cannot be written: .*; give --out another place"):
        toy_detector.export(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.onnx"]
