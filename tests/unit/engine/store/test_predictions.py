import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors import safe_open
from safetensors.numpy import save

from adbench import Geometry, StorageError
from adbench.engine.store.array_file import Stored
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.predictions import PREDICTIONS_FILE, Predictions, read_predictions, write_predictions
from adbench.engine.store.record import PredictionsInfo

grids = st.lists(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(-1e6, 1e6, width=32)),
    min_size=1,
    max_size=4,
)


NORMAL = NormalScores(np.array([0.5, 0.25, 1], np.float32), "cross-fitted k=3")


def predictions(patches, normal=None, foreground=None):
    count = 2 if patches is None else len(patches)
    return Predictions(
        ids=tuple(f"bolt/test/good/{index}" for index in range(count)),
        geometry=tuple(Geometry.whole(9, 7 + index).windowed(-1, 0, 5, 5) for index in range(count)),
        scores=np.arange(count, dtype=np.float32),
        patches=patches,
        foreground=foreground,
        normal=normal,
    )


@given(grids)
def test_grids_of_any_size_round_trip(tmp_path_factory, patches):
    folder = tmp_path_factory.mktemp("run")
    written = predictions(tuple(patches), foreground=[grid > 0 for grid in patches])
    read = read_predictions(folder, write_predictions(folder, written))
    assert (read.ids, read.geometry) == (written.ids, written.geometry)
    assert np.array_equal(read.scores, written.scores)
    assert all(np.array_equal(a, b) for a, b in zip(read.patches, written.patches, strict=True))
    assert all(a.tolist() == b.tolist() for a, b in zip(read.foreground, written.foreground, strict=True))


@pytest.mark.parametrize("normal", [None, NORMAL])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("patches", [None, (np.ones((2, 3), np.float32), np.zeros((1, 4), np.float32))])
def test_the_file_is_what_the_safetensors_library_writes(tmp_path, patches, normal, masked):
    masks = [np.array([[True, False, True]] * 2), np.zeros((1, 4), bool)] if masked else None
    write_predictions(tmp_path, predictions(patches, normal, masks))
    written = (tmp_path / PREDICTIONS_FILE).read_bytes()
    with safe_open(tmp_path / PREDICTIONS_FILE, framework="numpy") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    assert written == save(tensors, metadata=metadata)
    assert tensors["scores"].tolist() == [0, 1]
    assert ("foreground" in tensors) == (masked and patches is not None)
    if masked and patches is not None:
        assert tensors["foreground"].tolist() == [True, False, True] * 2 + [False] * 4
    if patches is not None:
        assert tensors["patches"].tolist() == [1] * 6 + [0] * 4


def test_scores_are_read_when_they_are_asked_for(tmp_path):
    written = predictions((np.ones((2, 3), np.float32), np.zeros((1, 4), np.float32)))
    read = read_predictions(tmp_path, write_predictions(tmp_path, written))
    assert isinstance(read.patches, Stored)
    assert read.patches[1].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("normal", [NORMAL, NormalScores(np.zeros(0, np.float32), "held-out 20 %", "it cannot")])
def test_scores_of_normal_images_round_trip(tmp_path, normal):
    read = read_predictions(tmp_path, write_predictions(tmp_path, predictions(None, normal))).normal
    assert (read.values.tolist(), read.source, read.reason) == (normal.values.tolist(), normal.source, normal.reason)


def test_figures_of_normal_pixels_round_trip_and_change_no_file_without_them(tmp_path):
    plain = write_predictions(tmp_path, predictions(None, NORMAL))
    with_pixels = write_predictions(tmp_path, predictions(None, replace(NORMAL, pixels=(0.25, 1.5))))
    assert read_predictions(tmp_path, with_pixels).normal.pixels == (0.25, 1.5)
    assert plain != with_pixels
    assert b"pixels" not in (tmp_path / write_predictions(tmp_path, predictions(None, NORMAL)).file).read_bytes()


def test_a_method_without_a_map_round_trips(tmp_path):
    assert read_predictions(tmp_path, write_predictions(tmp_path, predictions(None))).patches is None


def test_a_changed_file_is_refused(tmp_path):
    info = write_predictions(tmp_path, predictions(None))
    (tmp_path / PREDICTIONS_FILE).write_bytes(b"\x00" * 100)
    with pytest.raises(StorageError, match="not the file"):
        read_predictions(tmp_path, info)
    (tmp_path / PREDICTIONS_FILE).unlink()
    with pytest.raises(StorageError, match="run the unit again"):
        read_predictions(tmp_path, info)


def test_a_file_of_before_foregrounds_were_kept_has_none(tmp_path):
    patches = (np.ones((2, 3), np.float32), np.zeros((1, 4), np.float32))
    assert read_predictions(tmp_path, write_predictions(tmp_path, predictions(patches))).foreground is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["a"]}, "not 1 finite numbers"),
        ({"grids": [[2, 3]]}, "not as many places and grids"),
        ({"grids": [[1 << 40, 1 << 40], [1, 4]]}, "another size than its grids"),
        ({"grids": [[-2, -3], [1, 4]]}, "greater than or equal to 0"),
        ({"more": 1}, "Extra inputs"),
    ],
)
def test_a_file_whose_header_disagrees_with_it_is_refused(tmp_path, change, message):
    patches = (np.ones((2, 3), np.float32), np.zeros((1, 4), np.float32))
    write_predictions(tmp_path, predictions(patches))
    with safe_open(tmp_path / PREDICTIONS_FILE, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["adbench"])
    content = save(tensors, metadata={"adbench": json.dumps({**header, **change})})
    (tmp_path / PREDICTIONS_FILE).write_bytes(content)
    info = PredictionsInfo(file=PREDICTIONS_FILE, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(StorageError, match=f"not readable as predictions.*{message}"):
        read_predictions(tmp_path, info)


def test_a_run_may_have_thousands_of_results_at_hand(tmp_path):
    infos = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        infos.append(write_predictions(tmp_path / str(number), predictions((np.full((2, 3), number, np.float32),))))
    before = len(list(Path("/proc/self/fd").iterdir()))
    read = [read_predictions(tmp_path / str(number), info) for number, info in enumerate(infos)]
    assert [one.patches[0].tolist() for one in read] == [[[number] * 3] * 2 for number in range(3)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


TURN = (0.8, 0.6, -30.0, -0.6, 0.8, 60.0)


def turned(warp=TURN):
    made = predictions([np.ones((2, 3), np.float32)] * 2)
    return replace(made, geometry=(made.geometry[0], replace(made.geometry[1], warp=warp)))


def test_a_turn_is_kept_with_its_image_alone(tmp_path):
    made = turned()
    found = read_predictions(tmp_path, write_predictions(tmp_path, made))
    assert found.geometry == made.geometry
    with safe_open(tmp_path / PREDICTIONS_FILE, framework="numpy") as file:
        assert [len(place) for place in json.loads(file.metadata()["adbench"])["geometry"]] == [3, 4]


@pytest.mark.parametrize("warp", [(0.0,) * 6, (1e200, 0, 0, 0, 1e200, 0)])
def test_a_turn_that_cannot_be_undone_is_refused(warp, tmp_path):
    info = write_predictions(tmp_path, turned(warp))
    with pytest.raises(StorageError, match="an image has a warp that cannot be undone"):
        read_predictions(tmp_path, info)


CLASSES = np.array([[0.25, 0.5, 0.25], [1, 0, 0]], np.float32)


@pytest.mark.parametrize("patches", [None, (np.ones((2, 3), np.float32), np.zeros((1, 4), np.float32))])
def test_classes_round_trip_in_the_librarys_form(tmp_path, patches):
    written = replace(predictions(patches, NORMAL), classes=CLASSES)
    info = write_predictions(tmp_path, written)
    read = read_predictions(tmp_path, info)
    assert np.array_equal(read.classes, CLASSES)
    content = (tmp_path / PREDICTIONS_FILE).read_bytes()
    with safe_open(tmp_path / PREDICTIONS_FILE, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        assert content == save(arrays, file.metadata())
    assert read_predictions(tmp_path, write_predictions(tmp_path, predictions(patches))).classes is None


@pytest.mark.parametrize(
    "classes",
    [CLASSES[:, :1], CLASSES[0], CLASSES + 1, CLASSES * np.float32(np.nan), -CLASSES],
    ids=["one class", "other images", "sums", "nan", "negative"],
)
def test_classes_that_are_none_are_refused(tmp_path, classes):
    info = write_predictions(tmp_path, replace(predictions(None), classes=classes))
    with pytest.raises(StorageError, match="not readable as predictions .its classes are no"):
        read_predictions(tmp_path, info)
