import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adbench import Geometry, StorageError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.metrics_image import ImageAuroc
from adbench.builtin.metrics_pixel import PixelAuroc
from adbench.engine.evaluate import details as module
from adbench.engine.evaluate.details import (
    DETAILS_FILE,
    MAX_POINTS,
    PRO_LIMIT,
    Details,
    details_of,
    parse_details,
    read_details,
    thinned,
    write_details,
)
from adbench.engine.evaluate.evaluator import Evaluator
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.predictions import Predictions

ID = "a" * 64
METRICS = ImageAuroc(), PixelAuroc()
THRESHOLD = Threshold(method="sigma", source="held-out 20 %", normals=40, k=3.0, value=1.5, f1=0.75)


@pytest.fixture
def make_judge(parts):
    """A method that finds spots and takes dents for good: images of both kinds in one category."""
    for file in sorted(parts.glob("bolt/*/spot/002*")):
        (file.parents[1] / "dent").mkdir()
        file.rename(file.parents[1] / "dent" / file.name)
    dataset = Folder(root=parts)
    samples = dataset.split("bolt").test

    def make(*, patches=True):
        level = {"good": 1, "dent": 0, "spot": 2}
        scores = np.array([level[sample.defect] + index / 7 for index, sample in enumerate(samples)], np.float32)
        grids = tuple(np.full((4, 4), score, np.float32) for score in scores) if patches else None
        ids = tuple(sample.id for sample in samples)
        predictions = Predictions(ids, (Geometry.whole(64, 64),) * len(ids), scores, grids)
        return Evaluator(dataset, samples, predictions, MapSpec(sigma=0), None)

    return make


def test_images_are_reported_in_order_with_six_digits(make_judge):
    judge = make_judge()
    found = details_of(ID, judge, METRICS)
    assert [image.id for image in found.images] == list(judge.predictions.ids)
    assert [image.defect for image in found.images] == [sample.defect for sample in judge.samples]
    assert [image.score for image in found.images] == [float(f"{score:.6g}") for score in judge.predictions.scores]


def test_each_kind_of_defect_is_measured_against_all_good_images(make_judge):
    found = details_of(ID, make_judge(), METRICS).by_defect
    assert set(found) == {"dent", "spot"}
    assert (found["dent"]["image-auroc"], found["spot"]["image-auroc"]) == (0, 1)
    assert found["dent"]["pixel-auroc"] < 0.5 < found["spot"]["pixel-auroc"]


def test_a_method_without_maps_has_no_pixel_figures(make_judge):
    found = details_of(ID, make_judge(patches=False), METRICS)
    assert found.by_defect["spot"] == {"image-auroc": 1.0, "pixel-auroc": None}
    assert found.curves.pro == []
    assert found.curves.roc


def test_curves_lead_from_nothing_to_their_end(make_judge):
    judge = make_judge()
    curves = details_of(ID, judge, METRICS).curves
    assert (curves.roc[0], curves.roc[-1]) == ((0, 0), (1, 1))
    assert curves.pro[0] == (0, 0)
    rate, overlap = judge.evidence().pixel_curve.pro()
    assert curves.pro[-1] == pytest.approx((PRO_LIMIT, np.interp(PRO_LIMIT, rate, overlap)), abs=1e-6)


def test_few_corners_are_all_kept_and_what_is_straight_is_none():
    assert thinned(np.array([0, 0, 0.5, 0.75, 1]), np.array([0, 0.5, 0.5, 0.75, 1.0])) == [
        (0, 0),
        (0, 0.5),
        (0.5, 0.5),
        (1, 1),
    ]


@settings(deadline=None)
@given(arrays(np.int64, (600, 2), elements=st.integers(0, 50)))
def test_a_thinned_curve_stays_close_by_and_keeps_true_corners(steps):
    x, y = np.vstack([[[0, 0]], steps + np.array([[0, 1]])]).cumsum(0).T
    x, y = x / max(1, x[-1]), y / y[-1]
    points = thinned(x, y)
    assert len(points) <= MAX_POINTS
    kept = np.array(points)
    assert points[0] == (0, 0)
    assert points[-1] == (round(x[-1], 6), 1)
    assert (np.abs(kept[:, None] - np.stack([x, y], 1)).sum(2).min(1) <= 2e-6).all(), "each is a corner"
    way, kept_way = x + y, kept.sum(1)
    off = np.abs(x - np.interp(way, kept_way, kept[:, 0])) + np.abs(y - np.interp(way, kept_way, kept[:, 1]))
    assert off.max() <= 2 / (MAX_POINTS - 1) * 1.001


def test_what_is_written_is_read(make_judge, tmp_path):
    found = details_of(ID, make_judge(), METRICS).model_copy(update={"threshold": THRESHOLD})
    write_details(tmp_path, found)
    assert read_details(tmp_path) == read_details(tmp_path / DETAILS_FILE) == found
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [DETAILS_FILE]
    assert parse_details((tmp_path / DETAILS_FILE).read_text(), "here") == found


def plain(**changes):
    data = {"schema": 1, "id": ID, "images": [{"id": "a", "defect": "good", "score": 0.5}], "by_defect": {}}
    return {**data, "curves": {"roc": [], "pro": []}, "threshold": None, "embedding": None, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema"),
        ({"id": "../x"}, "id"),
        ({"images": [{"id": "a", "defect": "good", "score": float("nan")}]}, "images.0.score"),
        ({"by_defect": {"spot": {"x": float("inf")}}}, "by_defect.spot.x"),
        ({"curves": {"roc": [[0, 2]], "pro": []}}, "curves.roc.0.1"),
        ({"curves": {"roc": [[0, 0]] * (MAX_POINTS + 1), "pro": []}}, "curves.roc"),
        ({"embedding": []}, "0 points for 1 images"),
        ({"threshold": {"value": []}}, "threshold.method"),
        ({"more": 1}, "more"),
    ],
)
def test_what_a_stranger_writes_is_checked(changes, message):
    assert Details.model_validate(plain()).images[0].score == 0.5
    with pytest.raises(StorageError, match=f"here: not details of adbench.*{message}"):
        parse_details(json.dumps(plain(**changes)), "here")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '"\\ud800'])
def test_what_is_no_json_is_named(text):
    with pytest.raises(StorageError, match="here: not readable as JSON"):
        parse_details(text, "here")


def test_what_is_too_large_is_neither_written_nor_read(make_judge, tmp_path, monkeypatch):
    found = details_of(ID, make_judge(), METRICS)
    write_details(tmp_path, found)
    monkeypatch.setattr(module, "MAX_DETAILS_BYTES", 100)
    for work in (lambda: write_details(tmp_path, found), lambda: read_details(tmp_path)):
        with pytest.raises(StorageError, match="larger than"):
            work()
    with pytest.raises(StorageError, match="larger than"):
        parse_details(" " * 101, "here")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(StorageError, match=DETAILS_FILE):
        read_details(tmp_path)
