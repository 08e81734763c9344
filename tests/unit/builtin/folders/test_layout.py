from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import GOOD, DataError
from adbench.builtin.folders.layout import is_category, part_folder, scan_category

USUAL = ("train/good/0.png", "train/good/1.png", "test/good/0.png", "test/cut/0.png", "test/cut/1.png")
MASKS = ("ground_truth/cut/0_mask.png", "ground_truth/cut/1_mask.png")


@pytest.fixture
def nut(tmp_path):
    """Makes a category of files that all hold one small picture."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "nut" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((4, 5), np.uint8)).save(path, format="PNG")
        return tmp_path / "nut"

    return make


def scan(folder, **options):
    return scan_category("nut", folder, folder.parent.resolve(), **options)


def labels_of(found):
    return {sample.id: sample.defect for sample in (*found.split.train, *found.split.test)}


def test_the_layout_of_mvtec_ad(nut):
    found = scan(nut(*USUAL, *MASKS))
    assert labels_of(found) == {
        "nut/train/good/0": GOOD,
        "nut/train/good/1": GOOD,
        "nut/test/good/0": GOOD,
        "nut/test/cut/0": "cut",
        "nut/test/cut/1": "cut",
    }
    assert found.annotated == {"cut"}
    assert {name: [path.name for path in paths] for name, paths in found.masks.items()} == {
        "nut/test/cut/0": ["0_mask.png"],
        "nut/test/cut/1": ["1_mask.png"],
    }
    assert found.labels == "train: good 2 normal; test: good 1 normal; cut 2 defective"
    assert found.passed_over == ()


@pytest.mark.parametrize("train", ["good", "ok", "OK", "Normal", "defect_free"])
@pytest.mark.parametrize("test", ["good", "ok", "Good", "normal", "no_defect"])
def test_folders_whose_names_mean_normal(nut, train, test):
    found = scan(nut(f"train/{train}/0.png", f"test/{test}/0.png", "test/ko/0.png"))
    assert labels_of(found) == {
        f"nut/train/{train}/0": GOOD,
        f"nut/test/{test}/0": GOOD,
        "nut/test/ko/0": "ko",
    }
    assert found.labels == f"train: {train} 1 normal; test: {test} 1 normal; ko 1 defective"


def test_normal_images_of_two_folders(nut):
    found = scan(nut(*USUAL, "test/ok/0.png", "test/ok/7.png", "train/Normal/0.png"))
    assert found.labels == "train: Normal 1, good 2 normal; test: good 1, ok 2 normal; cut 2 defective"
    assert sum(not sample.anomalous for sample in found.split.test) == 3


def test_training_images_may_lie_in_train_itself(nut):
    found = scan(nut("train/0.png", "train/1.png", "test/good/0.png"))
    assert [sample.id for sample in found.split.train] == ["nut/train/0", "nut/train/1"]
    assert found.labels == "train: train 2 normal; test: good 1 normal; none defective"
    beside = scan(nut(*USUAL))
    assert [sample.id for sample in beside.split.train] == ["nut/train/good/0", "nut/train/good/1"]
    assert [found.file for found in beside.passed_over] == ["nut/train/0.png", "nut/train/1.png"]


@pytest.mark.parametrize("name", ["negative", "good_2", "images", "0", "mask"])
def test_a_folder_whose_name_may_mean_either_is_refused(nut, name):
    folder = nut("train/good/0.png", f"test/{name}/0.png", "test/cut/0.png")
    with pytest.raises(DataError, match=rf"test/{name}: the name may mean normal or defective.*normal=good\+{name} if"):
        scan(folder)
    assert labels_of(scan(folder, normal=[name]))[f"nut/test/{name}/0"] == GOOD
    assert labels_of(scan(folder, normal=[GOOD]))[f"nut/test/{name}/0"] == name


def test_the_line_that_settles_it_keeps_what_is_clear(nut):
    folder = nut("train/good/0.png", "test/OK/0.png", "test/clean/0.png")
    with pytest.raises(DataError, match=r"normal=OK\+good\+clean if its images are normal \(.*normal=OK\+good if not"):
        scan(folder)
    assert scan(folder, normal=["OK", "good"]).labels == "train: good 1 normal; test: OK 1 normal; clean 1 defective"


def test_numbers_name_defects_where_another_folder_is_normal(nut):
    found = scan(nut(*USUAL, "test/0/0.png", "test/1/0.png"))
    assert found.labels.endswith("0 1, 1 1, cut 2 defective")


def test_names_that_were_given_are_the_only_ones(nut):
    found = scan(nut("train/a/0.png", "test/A/0.png", "test/ok/0.png"), normal=["a"])
    assert found.labels == "train: a 1 normal; test: A 1 normal; ok 1 defective"


@pytest.mark.parametrize("name", ["crack", "images", "not_ok"])
def test_training_images_of_another_name_are_refused(nut, name):
    folder = nut(*USUAL, f"train/{name}/0.png")
    with pytest.raises(DataError, match=rf"training images are normal; move the folder to .*test/{name} if it shows"):
        scan(folder)
    with pytest.raises(DataError, match=rf"normal=good\+{name} if it does not"):
        scan(folder)


def test_test_images_in_no_folder_say_nothing(nut):
    folder = nut("train/good/0.png", "test/0.png", "test/1.png")
    with pytest.raises(
        DataError, match=r"no test image: .*2 files are passed over, such as nut/test/0\.png, which lies in no"
    ):
        scan(folder)


@pytest.mark.parametrize(
    "mask",
    [
        "ground_truth/cut/0_label.png",
        "ground_truth/cut/0_MASK.PNG",
        "ground_truth/cut/0.png",
        "ground_truth/cut/0_gt.tif",
        "Ground_Truth/Cut/0_mask.png",
        "groundtruth/CUT/mask_0.png",
        "GT/cut/0.png.png",
        "ground_truth/cut/0/000.png",
        "ground_truth/cut/0_mask/b.png",
        "ground_truth/cut/0_mask_3.png",
        "ground_truth/0_mask.png",
        "ground_truth/0.png",
    ],
)
def test_a_mask_finds_its_image(nut, mask):
    found = scan(nut("train/good/0.png", "test/good/0.png", "test/cut/0.png", mask))
    assert [path.name for path in found.masks["nut/test/cut/0"]] == [Path(mask).name]
    assert found.annotated == {"cut"}
    assert found.passed_over == ()


def test_several_masks_of_one_image_in_its_folder_or_by_number(nut):
    found = scan(nut(*USUAL, "ground_truth/cut/0/1.png", "ground_truth/cut/0/0.png", "ground_truth/cut/1_mask_0.png",
                     "ground_truth/cut/1_mask_1.png"))  # fmt: skip
    assert [path.name for path in found.masks["nut/test/cut/0"]] == ["0.png", "1.png"]
    assert [path.name for path in found.masks["nut/test/cut/1"]] == ["1_mask_0.png", "1_mask_1.png"]


@pytest.mark.parametrize("second", ["ground_truth/cut/0.png", "ground_truth/cut/0/0.png", "ground_truth/0_label.png"])
def test_two_masks_of_one_image_are_reported_and_none_is_to_be_deleted(nut, second):
    with pytest.raises(DataError, match="are masks of one image; keep one of them in .*their union counts") as caught:
        scan(nut(*USUAL, *MASKS, second))
    assert "remove" not in str(caught.value)


@pytest.mark.parametrize(
    ("mask", "advice"),
    [
        ("ground_truth/cut/9_mask.png", r"call it like its image \(0_mask for 0\), or keep it outside of ground_truth"),
        ("ground_truth/cutt/0_mask.png", "call its folder like that of its image"),
    ],
)
def test_a_mask_without_an_image_is_never_to_be_deleted(nut, mask, advice):
    with pytest.raises(DataError, match=f"a mask with no partner in .*; {advice}") as caught:
        scan(nut(*USUAL, mask))
    assert "remove" not in str(caught.value)


def test_a_flat_mask_that_several_images_may_mean_is_passed_over(nut):
    found = scan(nut(*USUAL, "test/hole/0.png", "ground_truth/0_mask.png"))
    assert found.masks == {}
    assert [str(item) for item in found.passed_over] == [
        "nut/ground_truth/0_mask.png: is called like no defective image, or like several"
    ]


def test_masks_of_normal_images_are_not_needed(nut):
    found = scan(nut(*USUAL, "ground_truth/good/0_mask.png", "ground_truth/ok/7.png"))
    assert (found.masks, found.annotated, found.passed_over) == ({}, frozenset(), ())


@pytest.mark.parametrize("name", ["test/cut/1_mask.png", "train/good/1_label.png", "test/good/0_GT.png"])
def test_a_mask_among_images_is_no_image(nut, name):
    with pytest.raises(DataError, match="is called like the mask of .* and lies among the images; move it into"):
        scan(nut(*USUAL, name))


def test_parts_of_other_spellings(nut, tmp_path):
    folder = nut("Train/OK/0.png", "TEST/NG/0.png", "TEST/OK/0.png", "GroundTruth/NG/0.png", "val/good/0.png")
    assert is_category(folder, tmp_path)
    assert not is_category(folder / "val", tmp_path)
    assert part_folder(folder, "train", tmp_path) == folder / "Train"
    found = scan(folder)
    assert found.labels == "train: OK 1 normal; test: OK 1 normal; NG 1 defective"
    assert set(labels_of(found)) == {"nut/train/OK/0", "nut/test/OK/0", "nut/test/NG/0"}
    assert set(found.masks) == {"nut/test/NG/0"}


def test_of_two_spellings_the_usual_one_is_read_and_the_other_told(nut):
    found = scan(nut(*USUAL, *MASKS, "GT/cut/0_mask.png"))
    assert [item.file for item in found.passed_over] == ["nut/GT/cut/0_mask.png"]


def test_two_folders_that_both_are_no_usual_spelling(nut):
    twice = nut(*USUAL, "gt/cut/0.png", "Groundtruth/cut/0.png")
    with pytest.raises(DataError, match="holds Groundtruth and gt; call the one that is to be read ground_truth"):
        scan(twice)


def test_a_folder_that_two_defects_may_mean(nut):
    with pytest.raises(DataError, match=r"ground_truth/CUT may belong to Cut and cut; call it exactly like"):
        scan(nut(*USUAL, "test/Cut/0.png", "ground_truth/CUT/0.png"))


def test_a_folder_that_cannot_be_listed(nut, monkeypatch):
    folder, listed = nut(*USUAL), Path.iterdir

    def shut(path):
        if path.name == "cut":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", shut)
    with pytest.raises(DataError, match=r"test/cut cannot be listed: Permission denied; make it readable"):
        scan(folder)
