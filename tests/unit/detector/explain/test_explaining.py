"""Explanations: the right patch, the right neighbour, the right pixels, and a sentence for whatever is missing."""

from __future__ import annotations

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from adbench import Geometry
from adbench.comparisons import PatchPlace
from adbench.detector.detector import Detector
from adbench.detector.explain.explaining import box_of
from adbench.errors import BadImage, StorageError, UsageError
from adbench.registration.registry import installed

SIDE = 64
"""Of images; a patch of the toy backbone is 4 x 4 pixels."""
MARK = (180, 40, 90)


@pytest.fixture(autouse=True)
def _needs_memory():
    if not any(entry.name == "full" for entry in installed().entries("bank")):
        pytest.skip("adbench-memory is not installed")


@pytest.fixture
def good(tmp_path, noise):
    """A folder of six normal images, of which 003.png has a red mark at rows 8 to 11, columns 20 to 23."""
    folder = tmp_path / "parts" / "good"
    folder.mkdir(parents=True)
    for number, image in enumerate(noise(6, SIDE)):
        if number == 3:
            image[8:12, 20:24] = MARK
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def marked(noise):
    """An image with a mark that is a little redder, at rows 16 to 19, columns 4 to 7."""
    image = noise(1, SIDE, seed=50)[0]
    image[16:20, 4:8] = (250, 40, 90)
    return image


@pytest.fixture
def detector(good, quick):
    """Learned from the folder."""
    return Detector(backbone="toy-pixels", bank="full", scorer="knn", **quick).fit(good)


@pytest.fixture
def file(detector, tmp_path):
    """Its file, beside the folder of images."""
    return detector.save(tmp_path / "one.adbench")


def test_the_patch_its_neighbour_and_their_pixels(detector, marked, good):
    prediction = detector.predict(marked)
    found = prediction.explain()
    assert tuple(found.place) == (4, 1, 16, 16, None)
    assert tuple(found.box) == (4, 16, 8, 20)
    assert found.patch_score == prediction.patches.max()
    assert found.distance == pytest.approx(found.patch_score, rel=1e-5)
    assert found.nearest.image.name == "003.png"
    assert found.nearest.file == good / "003.png"
    assert tuple(found.nearest.place) == (2, 5, 16, 16, None)
    assert tuple(found.nearest.box) == (20, 8, 24, 12)
    assert (found.nearest.pixels[8:12, 20:24] == MARK).all()
    assert found.threshold == prediction.threshold


def test_out_of_its_file_it_explains_the_same(file, detector, marked, quick, good):
    before, after = (one.predict(marked).explain() for one in (detector, Detector.load(file, **quick)))
    assert after.nearest.file == good / "003.png"
    assert after.to_json() == {
        **before.to_json(),
        "nearest": {**before.to_json()["nearest"], "path": "parts/good/003.png"},
    }


def test_as_json_it_is_plain_numbers_and_names(file, marked, quick):
    found = json.loads(json.dumps(Detector.load(file, **quick).predict(marked).explain().to_json(), allow_nan=False))
    assert found["patch"] == {"row": 4, "column": 1, "rows": 16, "columns": 16, "score": found["patch"]["score"]}
    assert found["box"] == [4, 16, 8, 20]
    assert found["nearest"]["image"] == "003.png"
    assert found["nearest"]["patch"] == {"row": 2, "column": 5, "rows": 16, "columns": 16, "view": None}
    assert found["nearest"]["box"] == [20, 8, 24, 12]
    assert len(found["nearest"]["sha256"]) == 64
    assert found["layers"] is None
    assert any("no layer has a share" in note for note in found["notes"])


def test_detector_and_images_may_move_together(file, tmp_path, marked, quick):
    (tmp_path / "there").mkdir()
    shutil.move(tmp_path / "parts", tmp_path / "there" / "parts")
    moved = shutil.move(file, tmp_path / "there" / "one.adbench")
    found = Detector.load(moved, **quick).predict(marked).explain()
    assert found.nearest.file == tmp_path / "there" / "parts" / "good" / "003.png"


def test_an_image_that_was_moved_is_said_and_found_where_the_user_says(file, good, tmp_path, marked, quick):
    moved = shutil.move(good, tmp_path / "elsewhere")
    prediction = Detector.load(file, **quick).predict(marked)
    found = prediction.explain()
    assert found.nearest.image.name == "003.png"
    assert (found.nearest.file, found.nearest.pixels, found.nearest.box) == (None, None, None)
    assert tuple(found.nearest.place) == (2, 5, 16, 16, None)
    assert any("'parts/good/003.png' is not found; give its folder" in note for note in found.notes)
    assert found.show().size[0] > 500
    for folder in (moved, str(moved), [tmp_path, moved]):
        assert prediction.explain(normal=folder).nearest.file == tmp_path / "elsewhere" / "003.png"


def test_an_image_that_was_replaced_is_never_shown(file, good, marked, quick):
    Image.fromarray(marked).save(good / "003.png")
    found = Detector.load(file, **quick).predict(marked).explain()
    assert found.nearest.pixels is None
    assert any("its content is another" in note for note in found.notes)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_a_folder_or_a_pipe_in_the_place_of_an_image_is_not_opened(file, good, marked, quick, make):
    (good / "003.png").unlink()
    make(good / "003.png")
    found = Detector.load(file, **quick).predict(marked).explain()
    assert any("is not found" in note for note in found.notes)


def test_a_detector_saved_elsewhere_names_no_folder_of_this_machine(detector, tmp_path, marked, quick, good):
    away = detector.save(tmp_path / "away" / "one.adbench")
    with zipfile.ZipFile(away) as archive:
        content = archive.read("detector.json").decode()
    assert "parts/" not in content
    assert str(tmp_path) not in content
    prediction = Detector.load(away, **quick).predict(marked)
    assert any("'003.png' is not found" in note for note in prediction.explain().notes)
    assert prediction.explain(normal=good).nearest.box is not None


def older(file, path, manifest=lambda one: one):
    """The detector as adbench wrote it before it kept places and paths."""
    with zipfile.ZipFile(file) as now, zipfile.ZipFile(path, "w") as then:
        for name in now.namelist():
            content = now.read(name)
            if name == "bank.safetensors":
                content = save({key: one for key, one in load(content).items() if key not in ("places", "grids")})
            if name == "detector.json":
                about = json.loads(content)
                images = [{key: image[key] for key in ("name", "sha256", "alias")} for image in about["images"]]
                content = json.dumps(manifest({**about, "schema": 1, "images": images}))
            then.writestr(name, content)
    return path


def test_a_detector_of_an_older_version_opens_and_says_what_is_missing(file, tmp_path, marked, quick, detector, good):
    prediction = Detector.load(older(file, tmp_path / "old.adbench"), **quick).predict(marked)
    assert prediction.score == detector.predict(marked).score
    found = prediction.explain()
    assert found.nearest.image.name == "003.png"
    assert (found.nearest.place, found.nearest.box) == (None, None)
    assert any("no place of the nearest normal patch" in note for note in found.notes)
    assert any("does not say where its normal image '003.png' lies" in note for note in found.notes)
    shown = prediction.explain(normal=good)
    assert (shown.nearest.pixels is not None, shown.nearest.box) == (True, None)
    assert shown.show().size[0] > 500


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../x.png", "a/../../x.png", "C:/x.png", "a\\b.png", "a//b", "", "."]
)
def test_a_path_that_leads_elsewhere_is_refused(file, tmp_path, quick, path):
    def manifest(about):
        return {**about, "schema": 2, "images": [{**image, "path": path} for image in about["images"]]}

    with pytest.raises(StorageError, match="path of an image must be relative"):
        Detector.load(older(file, tmp_path / "bad.adbench", manifest), **quick)


def test_arrays_have_no_file(noise, marked, quick):
    detector = Detector(backbone="toy-pixels", bank="full", scorer="knn", **quick).fit(noise(4, SIDE))
    found = detector.predict(marked).explain()
    assert found.nearest.image.path is None
    assert any("does not say where its normal image 'image-" in note for note in found.notes)


def test_images_that_were_added_later_are_found(detector, tmp_path, noise, quick):
    image = noise(1, SIDE, seed=8)[0]
    image[0:4, 0:4] = (5, 5, 250)
    (tmp_path / "more").mkdir()
    Image.fromarray(image).save(tmp_path / "more" / "new.png")
    detector.add(tmp_path / "more")
    near = image.copy()
    near[0:4, 0:4] = (0, 0, 255)
    file = detector.save(tmp_path / "grown.adbench")
    found = Detector.load(file, **quick).predict(near).explain()
    assert found.nearest.image.path == "more/new.png"
    assert tuple(found.nearest.box) == (0, 0, 4, 4)
    assert Detector.load(file, **quick).about.images[3].path == "parts/good/003.png"


def test_a_detector_that_is_saved_again_keeps_its_paths(file, tmp_path, quick, marked):
    loaded = Detector.load(file, **quick)
    again = loaded.save(tmp_path / "parts" / "again.adbench")
    assert Detector.load(again, **quick).about.images[0].path == "good/000.png"
    away = loaded.save(tmp_path / "away" / "again.adbench")
    assert Detector.load(away, **quick).about.images[0].path == "parts/good/000.png"


def test_a_turned_view_is_shown_turned(good, marked, quick, monkeypatch):
    detector = Detector(
        backbone="toy-pixels", bank="full", scorer="knn", augment="rotate:angles=90", preprocess=[], **quick
    ).fit(good)
    method = detector.state.method
    monkeypatch.setattr(type(method.bank), "place_of", lambda *_: PatchPlace(5, 1, 8, 8, 0))
    found = detector.predict(marked).explain()
    image = torch.from_numpy(np.array(Image.open(good / "003.png"))).permute(2, 0, 1)
    assert np.array_equal(found.nearest.pixels, method.augmenter.view(image, 0).permute(1, 2, 0).numpy())
    left, top, right, bottom = map(round, found.nearest.box)
    assert (left, top, right, bottom) == (8, 40, 16, 48)
    assert (found.nearest.pixels[top:bottom, left:right, 0] > 150).sum() >= 9


@pytest.mark.parametrize(
    ("bank", "scorer", "told"),
    [
        ("toy-energy", "toy-energy", "does not say what its scores are made of"),
        ("toy-aligned", "toy-aligned-nearest", "does not say what its scores are made of"),
        ("padim:dim=3", "mahalanobis", "couples the channels"),
        ("subspace", "residual", "cannot redraw"),
    ],
)
def test_other_methods_say_what_they_have_and_what_not(bank, scorer, told, good, marked, quick):
    known = {(entry.kind, entry.name) for entry in installed().entries()}
    if {("bank", bank.partition(":")[0]), ("scorer", scorer)} - known:
        pytest.skip("its plugin is not installed")
    detector = Detector(backbone="toy-pixels", bank=bank, scorer=scorer, **quick).fit(good)
    found = detector.predict(marked).explain()
    assert tuple(found.box) == (4, 16, 8, 20)
    assert found.nearest is None
    assert any(told in note for note in found.notes)
    assert (found.modes is not None) == (scorer == "mahalanobis")
    if found.modes is not None:
        assert [mode.share for mode in found.modes] == sorted((mode.share for mode in found.modes), reverse=True)
        assert sum(mode.share for mode in found.modes) == pytest.approx(1)
    assert found.show().size[0] > 500


def test_what_cannot_be_explained_is_a_sentence(detector, tmp_path, marked, noise, quick):
    Image.fromarray(marked).save(tmp_path / "gone.png")
    gone = detector.predict(tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    with pytest.raises(BadImage, match=r"gone\.png"):
        gone.explain()
    whole = Detector(
        backbone="toy-pixels", neck="image-statistics", bank="image-vectors", scorer="image-knn", **quick
    ).fit(noise(4, SIDE))
    with pytest.raises(UsageError, match="image scores alone"):
        whole.predict(marked).explain()


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (Geometry.whole(64, 128), (32, 16, 48, 24)),
        (Geometry.whole(128, 256).resized(64, 128), (64, 32, 96, 48)),
        (Geometry.whole(64, 128).windowed(-16, -32, 64, 128), (0, 0, 16, 8)),
        (Geometry.whole(64, 128).warped((-1.0, 0.0, 64.0, 0.0, -1.0, 128.0)), (80, 40, 96, 48)),
        (Geometry.whole(128, 128).windowed(0, 0, 64, 128).warped((0.0, 1.0, 0.0, -1.0, 0.0, 64.0)), (40, 32, 48, 48)),
    ],
    ids=["whole", "resized", "padded", "upside down", "on its side"],
)
def test_the_box_of_a_patch_lies_in_the_original_image(geometry, expected):
    found = box_of(PatchPlace(2, 2, 8, 8), geometry)
    assert tuple(found) == pytest.approx(expected)
