"""``adbench export``: a detector's file becomes a file for other programs, and the ways in which that goes wrong."""

import json

import pytest

from adbench.cli import call
from adbench.datasets import read_image

pytest.importorskip("adbench_memory")
pytest.importorskip("adbench_reconstruction")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

QUICK = ["--cache", "none", "--runtime", "torch", "--device", "cpu"]
METHOD = ["--preprocess", "resize:size=32", "--backbone", "pixels:cell=4", "--bank", "full", "--scorer", "knn:k=1"]


@pytest.fixture
def bolt(parts, tmp_path, capsys):
    """A detector's file."""
    out = tmp_path / "bolt.adbench"
    good = str(parts / "bolt" / "train" / "good")
    assert call(["fit", *METHOD, "--normal", good, "--out", str(out), *QUICK]) == 0
    capsys.readouterr()
    return out


@pytest.mark.slow
def test_the_file_scores_as_predict_does(parts, bolt, tmp_path, capsys):
    model, out, test = tmp_path / "bolt.onnx", tmp_path / "predictions", parts / "bolt" / "test"
    assert call(["export", str(bolt), "--out", str(model), "--images", str(test / "good"), *QUICK]) == 0
    assert str(model) in capsys.readouterr().out
    assert call(["predict", str(bolt), str(test), "--out", str(out), "--tables-only", *QUICK]) == 0
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        score, *_ = session.run(None, {"image": read_image(test / row["file"])[None]})
        assert score[0] == pytest.approx(row["score"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "wide"], "--size 'wide' is no size; write height and width in pixels, such as 480x640"),
        (["--images", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_a_sentence(bolt, tmp_path, capsys, options, message):
    model = tmp_path / "bolt.onnx"
    assert call(["export", str(bolt), "--out", str(model), *options, *QUICK]) != 0
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert message in output
    assert not model.exists()


def test_a_detector_without_a_form_for_exports_says_so(parts, tmp_path, capsys):
    file, model = tmp_path / "toy.adbench", tmp_path / "toy.onnx"
    good = str(parts / "bolt" / "train" / "good")
    toys = ["--backbone", "toy-pixels", "--scorer", "toy-nearest"]
    assert call(["fit", *toys, "--normal", good, "--out", str(file), *QUICK]) == 0
    capsys.readouterr()
    assert call(["export", str(file), "--out", str(model), *QUICK]) != 0
    assert capsys.readouterr().err.startswith("error: ")
    assert not model.exists()
